/*
 * Aliases (aliases(5)): the members get a new message, so that each is delivered, retried
 * and bounced by itself, and a retry of one never repeats the others. A Delivered-To
 * field with the alias's address breaks loops.
 */
#include "local/local.h"
#include "mail/address_list.h"

#define ALIAS_MEMBERS_MAX 10000

struct members {
	struct arena *arena;
	const struct local_recipient *recipient;
	struct cleanup_recipient *list;
	uint32_t count;
	struct str extension; /* "+ext" that goes along with each member, or "" */
	bool self, too_many;
};

/* The alias's own name among its members means the user of that name. */
static bool is_self(const struct members *m, struct str address)
{
	struct address_parts parts = address_split(address);
	if (!str_equal_nocase(parts.local, m->recipient->base))
		return false;
	return parts.domain.p == NULL ||
	    str_equal_nocase(parts.domain, address_split(m->recipient->address).domain);
}

static struct str with_extension(const struct members *m, struct str internal)
{
	struct address_parts parts = address_split(internal);
	if (m->extension.len == 0)
		return arena_str(m->arena, internal);
	const char *text = parts.domain.p == NULL
	    ? arena_printf(
		  m->arena, "%.*s%.*s", STR_ARG(parts.local), STR_ARG(m->extension))
	    : arena_printf(m->arena, "%.*s%.*s@%.*s", STR_ARG(parts.local),
		  STR_ARG(m->extension), STR_ARG(parts.domain));
	return text != NULL ? str_of(text) : (struct str){NULL, 0};
}

static bool add_member(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct members *m = context;
	if (is_self(m, internal)) {
		m->self = true;
		return true;
	}
	struct str address = with_extension(m, internal);
	if (m->count == ALIAS_MEMBERS_MAX || address.p == NULL) {
		m->too_many = true;
		return false;
	}
	const struct delivery_recipient *r =
	    m->recipient->delivery->recipients[m->recipient->index].request;
	m->list[m->count++] = (struct cleanup_recipient){.address = address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify};
	return true;
}

/* Commands, files and lists as members are a later issue; such mail waits. */
static bool is_only_addresses(struct str value)
{
	struct str word;
	while (str_next(&value, " \t\r\n,", &word)) {
		if (word.p[0] == '"')
			word = str_skip(word, 1);
		if (word.len > 0 &&
		    (word.p[0] == '|' || word.p[0] == '/' || word.p[0] == ':'))
			return false;
	}
	return true;
}

static enum alias_result expand(const struct local_recipient *r, struct str value,
    struct str extension, struct buf *text, struct why *why)
{
	if (!is_only_addresses(value)) {
		(void)why_later(why, "4.3.5",
		    "alias %.*s: commands, files and :include: are not supported yet",
		    STR_ARG(r->base));
		return ALIAS_FAILED;
	}
	struct arena *arena = r->delivery->arena;
	struct members members = {.arena = arena,
	    .recipient = r,
	    .extension = extension,
	    .list = arena_alloc_array(arena, ALIAS_MEMBERS_MAX, sizeof(*members.list))};
	if (members.list == NULL ||
	    !address_list_walk(
		value, ALIAS_MEMBERS_MAX * 4, add_member, &members, NULL) ||
	    members.too_many) {
		(void)why_later(
		    why, "4.3.0", "alias %.*s has too many members", STR_ARG(r->base));
		return ALIAS_FAILED;
	}
	if (members.count == 0)
		return ALIAS_SELF;
	if (r->delivery->request.flags & DELIVERY_VERIFY) {
		buf_printf(text, "aliased to %.*s", STR_ARG(str_trim(value)));
		return ALIAS_FORWARDED;
	}
	if (!forward_message(r, members.list, members.count, text, why))
		return ALIAS_FAILED;
	return members.self ? ALIAS_SELF : ALIAS_FORWARDED;
}

enum alias_result alias_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result found = maps_lookup(local.aliases, r->name, false, &value);
	struct str unmatched = STR_EMPTY;
	if (found == TABLE_ABSENT && r->extension.len > 0) {
		found = maps_lookup(local.aliases, r->base, false, &value);
		if (local.propagate_alias)
			unmatched = str_skip(r->name, r->base.len);
	}
	if (found == TABLE_ABSENT)
		return ALIAS_NONE;
	if (found == TABLE_FOUND)
		return expand(r, buf_str(&value), unmatched, text, why);
	(void)why_later(why, "4.3.0", "alias database unavailable");
	return ALIAS_FAILED;
}
