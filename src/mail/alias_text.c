#include "mail/alias_text.h"

#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/address_token.h"

#define TOKENS_MAX 10000 /* of one item */

static const struct str include = {":include:", sizeof(":include:") - 1};

struct walk {
	alias_text_each *each;
	void *context;
};

static bool give(const struct walk *w, enum alias_kind kind, struct str text)
{
	if (text.len == 0 || text.len > ADDRESS_MAX || str_find(text, '\0') >= 0)
		return true;
	return w->each(w->context, kind, text);
}

static bool classify(void *context, struct str item, UNUSED struct buf *replacement)
{
	const struct walk *w = context;
	if (str_starts(item, STR("|")))
		return give(w, ALIAS_COMMAND, str_skip(item, 1));
	if (str_starts(item, STR("/")) || str_starts(item, STR("~/")))
		return give(w, ALIAS_FILE, item);
	if (str_starts_nocase(item, include))
		return give(w, ALIAS_INCLUDE, str_trim(str_skip(item, include.len)));
	return give(w, ALIAS_ADDRESS, item);
}

/* Up to the comma that ends the item, or to the end. */
static struct str take_item(struct str *rest, bool *open_r)
{
	struct str begin = *rest;
	bool angle = false;
	*open_r = false;
	for (;;) {
		struct str before = *rest;
		struct address_token t = address_token_next(rest);
		if (address_token_is(&t, '<') || address_token_is(&t, '>'))
			angle = address_token_is(&t, '<');
		if (t.kind == ADDRESS_TOKEN_END || (address_token_is(&t, ',') && !angle))
			return str_slice(begin, 0, begin.len - before.len);
		*open_r = t.kind == ADDRESS_TOKEN_QUOTED && !t.closed;
	}
}

/* Without quotes it may hold colons, which part addresses elsewhere; it ends at a blank
 * or comma. */
static bool take_include(const struct walk *w, struct str *rest)
{
	ptrdiff_t end = str_find_any(*rest, " \t\r\n,");
	struct str item = end < 0 ? *rest : str_slice(*rest, 0, (size_t)end);
	*rest = str_skip(*rest, item.len);
	return give(w, ALIAS_INCLUDE, str_skip(item, include.len));
}

/* A quote that is not closed ends with the item. */
static bool walk_item(struct walk *w, struct str item, bool open)
{
	CLEANUP(buf_free) struct buf closed = BUF_INIT(ADDRESS_MAX * 2 + 1);
	if (open) {
		buf_add_str(&closed, item);
		buf_add_char(&closed, '"');
		item = buf_ok(&closed) ? buf_str(&closed) : STR_EMPTY;
	}
	return address_list_walk(item, TOKENS_MAX, classify, w, NULL);
}

static bool is_between(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

bool alias_text_walk(struct str text, alias_text_each *each, void *context)
{
	struct walk w = {.each = each, .context = context};
	bool go_on = true;
	while (go_on && text.len > 0) {
		if (is_between(text.p[0])) {
			text = str_skip(text, 1);
			continue;
		}
		if (str_starts_nocase(text, include)) {
			go_on = take_include(&w, &text);
			continue;
		}
		bool open;
		struct str item = take_item(&text, &open);
		go_on = walk_item(&w, item, open);
	}
	return go_on;
}

bool alias_text_walk_file(
    struct str text, size_t line_limit, alias_text_each *each, void *context)
{
	bool go_on = true;
	while (go_on && text.len > 0) {
		ptrdiff_t end = str_find(text, '\n');
		size_t length = end < 0 ? text.len : (size_t)end;
		bool cut = length > line_limit;
		struct str line = str_slice(text, 0, cut ? line_limit : length);
		text = str_skip(text, cut ? line_limit : length + 1);
		struct str shown = str_trim(line);
		if (!str_starts(shown, STR("#")))
			go_on = alias_text_walk(shown, each, context);
	}
	return go_on;
}
