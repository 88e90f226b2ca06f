/* Recipients on their way into the file: completed, replaced by their virtual aliases
 * (virtual(5)), each once. */
#include <errno.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "mail/address_list.h"
#include "mail/address_maps.h"

#define ALIAS_TOKENS_MAX 100000

/* "user@host.domain" stays as it is under every rewriting rule: no need to ask. */
static bool is_complete(struct str address)
{
	struct address_parts parts = address_split(address);
	if (parts.domain.len == 0 || parts.local.len == 0 || parts.local.p[0] == '@')
		return false;
	return str_find(parts.domain, '.') > 0 &&
	    parts.domain.p[parts.domain.len - 1] != '.';
}

struct str address_complete(struct message *m, struct str address)
{
	struct str result;
	if (is_complete(address))
		return address;
	int error = rewrite_addresses(
	    cleanup.rewrite, REWRITE_LOCAL, &address, 1, m->arena, &result);
	if (error == 0)
		return result;
	log_warning("%s: rewrite service: %s", m->id, strerror(-error));
	message_fail(m, CLEANUP_DEFER, "");
	return address;
}

static void table_trouble(struct message *m)
{
	log_warning("%s: virtual_alias_maps: lookup problem in %s", m->id,
	    maps_last_name(cleanup.virtual_aliases));
	message_fail(m, CLEANUP_DEFER, "");
}

/* Not knowing is trouble: a bare-user alias must not be missed because a table was
 * silent. */
static bool is_local_domain(void *context, struct str domain)
{
	struct message *m = context;
	enum table_result found = match_list_string(cleanup.mydestination, domain);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN) {
		log_warning("%s: mydestination: lookup problem", m->id);
		message_fail(m, CLEANUP_DEFER, "");
	}
	return found == TABLE_FOUND || str_is_nocase(domain, service_common()->myorigin);
}

/* One recipient and everything that it expands to. */
struct expansion {
	struct message *message;
	const struct cleanup_recipient *source;
	struct str original;
	unsigned depth;
	unsigned count;
	struct str extension; /* unmatched, of the alias that is being expanded */
	struct str parent;    /* its address */
};

static void write_recipient(struct expansion *x, struct str address)
{
	struct message *m = x->message;
	if ((int64_t)map_count(m->recipients) < cleanup.params.duplicate_filter_limit) {
		CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 2 + 1);
		table_fold(&key, address);
		buf_add_char(&key, '\0');
		table_fold(&key, x->original);
		if (map_set(m->recipients, buf_str(&key), m) != NULL)
			return;
	}
	CLEANUP(buf_free) struct buf orcpt = BUF_INIT(ADDRESS_MAX * 2);
	if (x->source->dsn_orcpt.len > 0) {
		buf_add_str(&orcpt, x->source->dsn_orcpt);
	} else {
		buf_add_cstr(&orcpt, "rfc822;");
		address_quote(&orcpt, x->original);
	}
	struct queue_write_recipient r = {
	    .address = address,
	    .original =
		cleanup.params.enable_original_recipient ? x->original : STR_EMPTY,
	    .dsn_orcpt = buf_str(&orcpt),
	    .notify = x->source->notify,
	};
	message_detect_utf8(m, address);
	queue_recipient_records(&m->out, &r);
	m->size.recipients++;
	m->size.flags |= (int64_t)r.notify << 1;
	message_write_out(m);
}

static void expand(struct expansion *x, struct str address);

/* An alias's member; an extension that the alias did not match goes along. */
static bool expand_member(
    void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct expansion *x = context;
	struct message *m = x->message;
	if (++x->count > (unsigned)cleanup.params.virtual_alias_expansion_limit) {
		log_warning(
		    "%s: unreasonable virtual_alias_maps map expansion size for %.*s",
		    m->id, STR_ARG(x->original));
		message_fail(m, CLEANUP_DEFER, "");
		return false;
	}
	struct str address = arena_str(m->arena, internal);
	if (address.p == NULL) {
		message_fail(m, CLEANUP_DEFER, "");
		return false;
	}
	address = address_complete(m, address);
	struct address_parts parts = address_split(address);
	if (x->extension.len > 0 && parts.domain.p != NULL) {
		const char *extended = arena_printf(m->arena, "%.*s%.*s@%.*s",
		    STR_ARG(parts.local), STR_ARG(x->extension), STR_ARG(parts.domain));
		if (extended != NULL)
			address = str_of(extended);
	}
	if (str_equal_nocase(address, x->parent)) /* an alias that names itself */
		write_recipient(x, address);
	else
		expand(x, address);
	return m->status == CLEANUP_OK;
}

static void expand_value(
    struct expansion *x, struct str address, struct str value, struct str extension)
{
	struct expansion inner = *x;
	inner.depth++;
	inner.parent = address;
	inner.extension = extension;
	if (inner.depth > (unsigned)cleanup.params.virtual_alias_recursion_limit) {
		log_warning("%s: unreasonable virtual_alias_maps map nesting for %.*s",
		    x->message->id, STR_ARG(x->original));
		message_fail(x->message, CLEANUP_DEFER, "");
		return;
	}
	(void)address_list_walk(value, ALIAS_TOKENS_MAX, expand_member, &inner, NULL);
	x->count = inner.count;
}

static void expand(struct expansion *x, struct str address)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	struct address_maps_query query = {
	    .maps = cleanup.virtual_aliases,
	    .delimiters = service_common()->recipient_delimiter,
	    .double_bounce = service_common()->double_bounce_sender,
	    .flags = ADDRESS_MAPS_USER | ADDRESS_MAPS_DOMAIN,
	    .is_local = is_local_domain,
	    .context = x->message,
	};
	switch (address_maps_lookup(&query, address, &value, &extension)) {
	case TABLE_ABSENT:
		write_recipient(x, address);
		break;
	case TABLE_FOUND:
		expand_value(x, address, buf_str(&value), buf_str(&extension));
		break;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		table_trouble(x->message);
	}
}

static void add_one(struct message *m, const struct cleanup_recipient *r)
{
	struct str address = address_complete(m, r->address);
	struct expansion x = {
	    .message = m,
	    .source = r,
	    .original = r->original.len > 0 ? r->original : r->address,
	};
	if (m->status != CLEANUP_OK)
		return;
	if (!(m->envelope.flags & CLEANUP_MAP) || maps_empty(cleanup.virtual_aliases))
		write_recipient(&x, address);
	else
		expand(&x, address);
}

void recipients_add(
    struct message *m, const struct cleanup_recipient *list, uint32_t count)
{
	for (uint32_t i = 0; i < count && m->status == CLEANUP_OK; i++)
		add_one(m, &list[i]);
}
