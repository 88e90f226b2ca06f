#include "mail/address_maps.h"

/* One key: as it would be written (quoted) first, then as it is, when they differ. */
static enum table_result lookup_forms(
    const struct address_maps_query *q, struct str key, bool partial, struct buf *value)
{
	CLEANUP(buf_free) struct buf external = BUF_INIT((size_t)2 * ADDRESS_MAX + 2);
	address_quote(&external, key);
	if (buf_ok(&external) && !str_equal(buf_str(&external), key)) {
		enum table_result result =
		    maps_lookup(q->maps, buf_str(&external), partial, value);
		if (result != TABLE_ABSENT)
			return result;
	}
	return maps_lookup(q->maps, key, partial, value);
}

struct search {
	const struct address_maps_query *q;
	struct address_parts parts;
	struct address_extension split;
	struct buf *value, *extension;
};

static void keep_extension(const struct search *s)
{
	buf_add_char(s->extension, s->split.delimiter);
	buf_add_str(s->extension, s->split.extension);
}

/* user+ext, then user, each followed by `domain` ("" or "@example.com"). */
static enum table_result lookup_user(
    const struct search *s, struct str domain, bool whole)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX);
	buf_add_str(&key, s->parts.local);
	buf_add_str(&key, domain);
	enum table_result result = lookup_forms(s->q, buf_str(&key), !whole, s->value);
	if (result != TABLE_ABSENT || s->split.extension.p == NULL)
		return result;
	buf_clear(&key);
	buf_add_str(&key, s->split.base);
	buf_add_str(&key, domain);
	result = lookup_forms(s->q, buf_str(&key), true, s->value);
	if (result == TABLE_FOUND)
		keep_extension(s);
	return result;
}

enum table_result address_maps_lookup(const struct address_maps_query *q,
    struct str internal, struct buf *value, struct buf *extension)
{
	buf_clear(extension);
	buf_clear(value);
	if (internal.len > ADDRESS_MAX || internal.len == 0)
		return TABLE_ABSENT;
	struct search s = {.q = q,
	    .parts = address_split(internal),
	    .value = value,
	    .extension = extension};
	s.split = address_split_extension(s.parts.local, &q->rules);
	bool has_domain = s.parts.domain.p != NULL;
	struct str at_domain =
	    has_domain ? str_skip(internal, s.parts.local.len) : STR_EMPTY;
	enum table_result result = lookup_user(&s, at_domain, true);
	if (result != TABLE_ABSENT || !has_domain)
		return result;
	if ((q->flags & ADDRESS_MAPS_USER) != 0 && q->is_local != NULL &&
	    q->is_local(q->context, s.parts.domain)) {
		result = lookup_user(&s, STR_EMPTY, false);
		if (result != TABLE_ABSENT)
			return result;
	}
	if ((q->flags & ADDRESS_MAPS_DOMAIN) == 0)
		return TABLE_ABSENT;
	/* Copying what was matched by domain is the caller's business; no extension here.
	 */
	return maps_lookup(q->maps, at_domain, true, value);
}
