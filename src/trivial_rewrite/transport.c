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

static bool is_trouble(enum table_result result)
{
	return result == TABLE_TRY_LATER || result == TABLE_BROKEN;
}

/* Every parent of the domain: ".example.com", or "example.com" when
 * parent_domain_matches_subdomains says so. */
static enum table_result ask_parents(
    const struct routing *routing, struct str domain, struct buf *value)
{
	enum table_result result = TABLE_ABSENT;
	while (result == TABLE_ABSENT && domain.len > 0) {
		ptrdiff_t dot = str_find(str_skip(domain, 1), '.');
		if (dot < 0)
			break;
		domain = str_skip(domain, (size_t)dot + 1);
		result = maps_lookup(routing->transports,
		    rewriter.transport_parents ? str_skip(domain, 1) : domain, true,
		    value);
	}
	return result;
}

static enum table_result ask_without_extension(
    const struct routing *routing, struct address_parts parts, struct buf *value)
{
	const struct address_extension_rules rules = service_extension_rules();
	struct address_extension split = address_split_extension(parts.local, &rules);
	if (split.extension.p == NULL)
		return TABLE_ABSENT;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX);
	buf_printf(&key, "%.*s@%.*s", STR_ARG(split.base), STR_ARG(parts.domain));
	return maps_lookup(routing->transports, buf_str(&key), true, value);
}

/* user+ext@domain, user@domain, domain, parents, "*". */
static enum table_result search(
    const struct routing *routing, struct str address, struct buf *value)
{
	struct address_parts parts = address_split(address);
	enum table_result result =
	    maps_lookup(routing->transports, address, false, value);
	if (result == TABLE_ABSENT)
		result = ask_without_extension(routing, parts, value);
	if (result == TABLE_ABSENT)
		result = maps_lookup(routing->transports, parts.domain, true, value);
	if (result == TABLE_ABSENT)
		result = ask_parents(routing, parts.domain, value);
	if (result == TABLE_ABSENT)
		result = maps_lookup(routing->transports, STR("*"), true, value);
	return result;
}

/* "smtp" and "smtp:" mean the recipient's own domain, not relayhost; ":" changes nothing.
 */
static void apply(struct question *q, struct str value, struct resolved *r)
{
	struct str transport = STR_EMPTY, nexthop = STR_EMPTY;
	transport_split(q->arena, value, &transport, &nexthop);
	if (transport.len > 0) {
		r->transport = transport;
		r->nexthop = str_is(transport, "error") || str_is(transport, "retry")
		    ? STR("Address is undeliverable")
		    : address_split(r->recipient).domain;
	}
	if (nexthop.len > 0)
		r->nexthop = nexthop;
}

void transport_apply(struct question *q, struct resolved *r)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	if (maps_empty(q->routing->transports))
		return;
	enum table_result result = search(q->routing, r->recipient, &value);
	if (is_trouble(result)) {
		log_warning("transport_maps lookup failure");
		q->trouble = true;
	} else if (result == TABLE_FOUND) {
		apply(q, buf_str(&value), r);
	}
}

/* Bare-user keys count for our own domains. */
static bool is_local(void *context, struct str domain)
{
	return resolve_is_local(context, domain);
}

struct str sender_lookup(struct question *q, struct maps *maps, const char *null_key)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (maps_empty(maps))
		return STR_EMPTY;
	struct address_maps_query query = {
	    .maps = maps,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_DOMAIN,
	};
	enum table_result result = q->sender.len > 0
	    ? address_maps_lookup(&query, q->sender, &value, &extension)
	    : maps_lookup(maps, str_of(null_key), false, &value);
	if (is_trouble(result)) {
		log_warning("%s lookup failure", maps_last_name(maps));
		q->trouble = true;
	}
	if (result != TABLE_FOUND || str_is_nocase(str_trim(buf_str(&value)), "DUNNO"))
		return STR_EMPTY;
	struct str text = arena_str(q->arena, str_trim(buf_str(&value)));
	return text.p != NULL ? text : STR_EMPTY;
}

bool relocated_apply(struct question *q, struct resolved *r)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (maps_empty(rewriter.relocated))
		return false;
	struct address_maps_query query = {
	    .maps = rewriter.relocated,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_USER | ADDRESS_MAPS_DOMAIN,
	    .is_local = is_local,
	    .context = q,
	};
	enum table_result result =
	    address_maps_lookup(&query, r->recipient, &value, &extension);
	if (is_trouble(result)) {
		log_warning("relocated_maps lookup failure");
		q->trouble = true;
	}
	if (result != TABLE_FOUND)
		return false;
	const char *prefix =
	    rewriter.params.relocated_prefix_enable ? "5.1.6 User has moved to " : "";
	r->transport = STR("error");
	r->nexthop = str_of(arena_printf(q->arena, "%s%s", prefix, buf_cstr(&value)));
	return true;
}
