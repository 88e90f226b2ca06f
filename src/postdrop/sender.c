/* local_login_sender_maps: by login name, the senders that a user may give. */
#include "base/memory.h"
#include "base/panic.h"
#include "postdrop/postdrop.h"
#include "table/maps.h"

struct sender_rules {
	struct maps *maps;
	const char *null_key;
};

struct sender_rules *sender_rules_new(const char *maps, const char *null_key)
{
	struct sender_rules *r = memory_alloc(sizeof(*r));
	r->maps = maps_open("local_login_sender_maps", maps, 0);
	r->null_key = null_key;
	return r;
}

void sender_rules_free(struct sender_rules *r)
{
	maps_close(r->maps);
	free(r);
}

/* "*" is any sender, "@domain" any in that domain. */
static bool matches(const struct sender_rules *r, struct str pattern, struct str sender)
{
	ptrdiff_t at = str_find_last(sender, '@');
	if (str_is(pattern, "*"))
		return true;
	if (sender.len == 0)
		return str_is(pattern, r->null_key);
	if (pattern.p[0] == '@')
		return at >= 0 && str_equal_nocase(pattern, str_skip(sender, (size_t)at));
	return str_equal_nocase(pattern, sender);
}

bool sender_allowed(struct sender_rules *r, struct str login, struct str sender)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(TABLE_VALUE_MAX);
	struct str rest, word;
	enum table_result result = maps_lookup(r->maps, login, false, &list);
	if (result == TABLE_ABSENT)
		return false;
	if (result != TABLE_FOUND)
		fatal("%s: table lookup problem", maps_last_name(r->maps));
	rest = buf_str(&list);
	while (str_next(&rest, ", \t\r\n", &word))
		if (matches(r, word, sender))
			return true;
	return false;
}
