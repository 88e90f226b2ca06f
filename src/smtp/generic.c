#include "smtp/generic.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "client/rewrite_client.h"
#include "client/service_client.h"
#include "mail/address_list.h"
#include "mail/address_maps.h"
#include "mail/fold.h"
#include "mail/header.h"
#include "smtp/smtp.h"
#include "table/match_list.h"

#define RESULT_TOKENS_MAX 1000

static struct {
	struct maps *maps; /* NULL: not set */
	struct match_list *mydestination;
	struct rewrite_client *rewrite;
	bool propagates;
} generic;

void generic_before_jail(void)
{
	struct str names = str_of(smtp.params.propagate_unmatched_extensions);
	generic.maps =
	    maps_open("smtp_generic_maps", smtp.params.smtp_generic_maps, TABLE_FOLD);
	if (maps_empty(generic.maps)) {
		maps_close(generic.maps);
		generic.maps = NULL;
		return;
	}
	generic.mydestination = match_list_open(
	    "mydestination", service_common()->mydestination, MATCH_DOMAINS, 0);
	generic.propagates = str_list_has(names, "generic");
}

void generic_started(void)
{
	const struct common_params *common = service_common();
	if (generic.maps != NULL)
		generic.rewrite = rewrite_client_new(service_client_new(
		    common, SERVICE_PRIVATE, common->rewrite_service_name));
}

bool generic_is_set(void)
{
	return generic.maps != NULL;
}

/* One address on its way through the tables. */
struct mapping {
	struct arena *arena;
	bool failed;
	bool changed; /* of a field: any address */
};

static bool is_local_domain(void *context, struct str domain)
{
	struct mapping *m = context;
	enum table_result found = match_list_string(generic.mydestination, domain);
	m->failed = m->failed || found == TABLE_TRY_LATER || found == TABLE_BROKEN;
	return found == TABLE_FOUND || str_is_nocase(domain, service_common()->myorigin);
}

static bool take_first(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct buf *first = context;
	buf_add_str(first, internal);
	return false;
}

/* "@domain" takes the local part along; what has no domain is completed. */
static struct str complete(
    struct mapping *m, struct str said, struct str source, struct str extension)
{
	struct str local = address_split(source).local, result = STR_EMPTY;
	const char *whole = said.len > 0 && said.p[0] == '@'
	    ? arena_printf(m->arena, "%.*s%.*s", STR_ARG(local), STR_ARG(said))
	    : arena_cstr(m->arena, said);
	int error = whole == NULL ? -ENOMEM : 0;
	struct str one = whole != NULL ? str_of(whole) : STR_EMPTY;
	if (error == 0)
		error = rewrite_addresses(
		    generic.rewrite, REWRITE_LOCAL, &one, 1, m->arena, &result);
	if (error != 0) {
		log_warning("rewrite service: %s", strerror(-error));
		m->failed = true;
		return source;
	}
	struct address_parts parts = address_split(result);
	if (extension.len == 0 || parts.domain.p == NULL || said.p[0] == '@')
		return result;
	const char *extended = arena_printf(m->arena, "%.*s%.*s@%.*s",
	    STR_ARG(parts.local), STR_ARG(extension), STR_ARG(parts.domain));
	m->failed = m->failed || extended == NULL;
	return extended != NULL ? str_of(extended) : source;
}

static struct str map_one(struct mapping *m, struct str address)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	CLEANUP(buf_free) struct buf first = BUF_INIT(ADDRESS_MAX);
	struct address_maps_query query = {
	    .maps = generic.maps,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_USER | ADDRESS_MAPS_DOMAIN,
	    .is_local = is_local_domain,
	    .context = m,
	};
	enum table_result found =
	    address_maps_lookup(&query, address, &value, &extension);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN) {
		log_warning("%s lookup error for \"%.*s\"", maps_last_name(generic.maps),
		    STR_ARG(address));
		m->failed = true;
	}
	if (found != TABLE_FOUND || m->failed)
		return address;
	(void)address_list_walk(
	    buf_str(&value), RESULT_TOKENS_MAX, take_first, &first, NULL);
	if (first.len == 0 || !buf_ok(&first))
		return address;
	struct str mapped = complete(m, buf_str(&first), address,
	    generic.propagates ? buf_str(&extension) : STR_EMPTY);
	return mapped.len <= ADDRESS_MAX ? mapped : address;
}

bool generic_map(struct str address, struct arena *a, struct str *mapped_r)
{
	struct mapping m = {.arena = a};
	struct str mapped = address.len > 0 ? map_one(&m, address) : address;
	if (!m.failed)
		*mapped_r = mapped;
	return !m.failed;
}

static bool map_listed(void *context, struct str internal, struct buf *replacement)
{
	struct mapping *m = context;
	struct str mapped = map_one(m, internal);
	if (!str_equal(mapped, internal)) {
		m->changed = true;
		buf_add_str(replacement, mapped);
	}
	return !m->failed;
}

/* A changed list is laid out afresh, another stays as it came. */
bool generic_map_field(struct str field, struct arena *a, struct buf *out)
{
	struct mapping m = {.arena = a};
	struct str name = str_slice(field, 0, header_name_length(field));
	const struct header_row *row = header_find(name);
	size_t room = field.len * 4 + ADDRESS_MAX;
	CLEANUP(buf_free) struct buf text = BUF_INIT(room), folded = BUF_INIT(room * 2);
	struct str body = header_body(field);
	if ((row->flags & (HEADER_IS_SENDER | HEADER_IS_RECIPIENT)) != 0 &&
	    body.len > 0) {
		buf_add_str(&text, str_slice(field, 0, (size_t)(body.p - field.p)));
		(void)address_list_walk(body,
		    (size_t)smtp.params.header_address_token_limit, map_listed, &m,
		    &text);
	}
	if (m.changed && !m.failed)
		fold_addresses(buf_str(&text), &folded);
	bool usable = m.changed && buf_ok(&text) && buf_ok(&folded);
	buf_add_str(out, usable ? buf_str(&folded) : field);
	return !m.failed;
}
