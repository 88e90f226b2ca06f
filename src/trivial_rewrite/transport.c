/* transport(5) and relocated(5): what tables say about single addresses and domains. */
#include "base/log.h"
#include "mail/address_maps.h"
#include "trivial_rewrite/trivial_rewrite.h"

void transport_split(
    struct arena *a, struct str value, struct str *transport, struct str *nexthop)
{
	ptrdiff_t colon = str_find(value, ':');
	struct str left = colon < 0 ? value : str_slice(value, 0, (size_t)colon);
	struct str right = colon < 0 ? STR_EMPTY : str_skip(value, (size_t)colon + 1);
	if (left.len > 0)
		*transport = arena_str(a, left);
	if (right.len > 0)
		*nexthop = arena_str(a, str_trim(right));
}

/* FOUND, ABSENT, or trouble, which is logged. */
static enum table_result ask(
    struct maps *maps, struct str key, bool partial, struct buf *value)
{
	enum table_result result = maps_lookup(maps, key, partial, value);
	if (result == TABLE_TRY_LATER || result == TABLE_BROKEN)
		log_warning(
		    "%s: lookup of %.*s failed", maps_last_name(maps), STR_ARG(key));
	return result;
}

/* ".example.com" for every parent; the domain itself with its dot does not count. */
static enum table_result ask_parents(struct str domain, struct buf *value)
{
	enum table_result result = TABLE_ABSENT;
	while (result == TABLE_ABSENT) {
		ptrdiff_t dot = str_find(str_skip(domain, 1), '.');
		if (dot < 0)
			break;
		domain = str_skip(domain, (size_t)dot + 1);
		result = ask(rewriter.transports, domain, true, value);
	}
	return result;
}

static enum table_result ask_without_extension(
    struct address_parts parts, struct buf *value)
{
	struct address_extension split =
	    address_split_extension(parts.local, service_common()->recipient_delimiter,
		service_common()->double_bounce_sender);
	if (split.extension.p == NULL)
		return TABLE_ABSENT;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX);
	buf_printf(&key, "%.*s@%.*s", STR_ARG(split.base), STR_ARG(parts.domain));
	return ask(rewriter.transports, buf_str(&key), true, value);
}

/* user+ext@domain, user@domain, domain, parents, "*". */
static enum table_result search(struct str address, struct buf *value)
{
	struct address_parts parts = address_split(address);
	enum table_result result = ask(rewriter.transports, address, false, value);
	if (result == TABLE_ABSENT && parts.domain.p != NULL)
		result = ask_without_extension(parts, value);
	if (result == TABLE_ABSENT && parts.domain.p != NULL)
		result = ask(rewriter.transports, parts.domain, true, value);
	if (result == TABLE_ABSENT && parts.domain.p != NULL)
		result = ask_parents(parts.domain, value);
	if (result == TABLE_ABSENT)
		result = ask(rewriter.transports, STR("*"), true, value);
	return result;
}

bool transport_apply(
    struct arena *a, struct str address, struct resolved *r, bool *trouble)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	if (maps_empty(rewriter.transports))
		return false;
	enum table_result result = search(address, &value);
	*trouble = result == TABLE_TRY_LATER || result == TABLE_BROKEN;
	if (result != TABLE_FOUND)
		return false;
	/* "smtp:" means the recipient's own domain, not relayhost; ":" changes nothing.
	 */
	struct str text = buf_str(&value);
	struct str domain = address_split(r->recipient).domain;
	if (str_find(text, ':') > 0 && str_ends(text, STR(":")) && domain.p != NULL)
		r->nexthop = domain;
	transport_split(a, text, &r->transport, &r->nexthop);
	return true;
}

struct str sender_lookup(struct arena *a, struct maps *maps, const char *null_key,
    struct str sender, bool *trouble)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (maps_empty(maps))
		return STR_EMPTY;
	struct address_maps_query query = {
	    .maps = maps,
	    .delimiters = service_common()->recipient_delimiter,
	    .double_bounce = service_common()->double_bounce_sender,
	    .flags = ADDRESS_MAPS_DOMAIN,
	};
	enum table_result result = sender.len > 0
	    ? address_maps_lookup(&query, sender, &value, &extension)
	    : maps_lookup(maps, str_of(null_key), false, &value);
	if (result == TABLE_TRY_LATER || result == TABLE_BROKEN) {
		log_warning(
		    "%s: lookup of <%.*s> failed", maps_last_name(maps), STR_ARG(sender));
		*trouble = true;
	}
	if (result != TABLE_FOUND || str_is_nocase(str_trim(buf_str(&value)), "DUNNO"))
		return STR_EMPTY;
	struct str text = arena_str(a, str_trim(buf_str(&value)));
	return text.p != NULL ? text : STR_EMPTY;
}

bool relocated_apply(
    struct arena *a, struct str address, struct resolved *r, bool *trouble)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (maps_empty(rewriter.relocated))
		return false;
	struct address_maps_query query = {
	    .maps = rewriter.relocated,
	    .delimiters = service_common()->recipient_delimiter,
	    .double_bounce = service_common()->double_bounce_sender,
	    .flags = ADDRESS_MAPS_DOMAIN,
	};
	enum table_result result =
	    address_maps_lookup(&query, address, &value, &extension);
	*trouble = result == TABLE_TRY_LATER || result == TABLE_BROKEN;
	if (result != TABLE_FOUND)
		return false;
	const char *prefix =
	    rewriter.params.relocated_prefix_enable ? "5.1.6 User has moved to " : "";
	r->transport = STR("error");
	r->nexthop = str_of(arena_printf(a, "%s%s", prefix, buf_cstr(&value)));
	return true;
}
