/* inline:{key=value, {key = text with blanks}}: the table in its own name. */
#include "table/braces.h"
#include "table/driver.h"
#include "table/text_map.h"

static bool bad_syntax(struct str name, const char *what, struct buf *error)
{
	buf_printf(error, "%s: \"inline:%.*s\"; need \"inline:{name=value...}\"", what,
	    STR_ARG(name));
	return false;
}

struct filling {
	struct text_map *map;
	struct str name;
	bool fold;
};

static void add(struct filling *f, struct str key, struct str value)
{
	CLEANUP(buf_free) struct buf folded = BUF_INIT(key.len * 3 + 16);
	if (f->fold) {
		table_fold(&folded, key);
		key = buf_str(&folded);
	}
	(void)!text_map_add(f->map, key, value);
}

static bool add_pair(struct filling *f, struct str word, struct buf *error)
{
	if (word.p[0] == '{') {
		const char *problem = braces_strip(&word);
		if (problem != NULL) {
			CLEANUP(buf_free) struct buf what = BUF_INIT(1000);
			buf_printf(&what, "%s in \"%.*s\"", problem, STR_ARG(word));
			return bad_syntax(f->name, buf_cstr(&what), error);
		}
	}
	ptrdiff_t equals = str_find(word, '=');
	struct str key = str_trim(str_slice(word, 0, equals < 0 ? 0 : (size_t)equals));
	if (equals < 0 || str_find_any(key, " \t\r\n") >= 0)
		return bad_syntax(f->name, "missing '=' after attribute name", error);
	struct str value = str_trim(str_skip(word, (size_t)equals + 1));
	if (key.len == 0)
		return bad_syntax(f->name, "missing attribute name", error);
	add(f, key, value);
	return true;
}

static bool fill(struct filling *f, struct buf *error)
{
	struct str rest = f->name;
	struct str word;
	if (rest.p[0] != '{' || braces_strip(&rest) != NULL)
		return bad_syntax(f->name, "bad syntax", error);
	while (str_next_braced(&rest, ", \t\r\n", &word))
		if (!add_pair(f, word, error))
			return false;
	return text_map_count(f->map) > 0 || bad_syntax(f->name, "bad syntax", error);
}

static void *open_inline(struct str name, unsigned flags, struct buf *error)
{
	struct filling f = {
	    .map = text_map_new(),
	    .name = name,
	    .fold = (flags & TABLE_FOLD) != 0,
	};
	if (fill(&f, error))
		return f.map;
	text_map_free(f.map);
	return NULL;
}

static void close_inline(void *state)
{
	text_map_free(state);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, UNUSED struct buf *error)
{
	return text_map_lookup(state, key, value);
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, UNUSED struct buf *error)
{
	return text_map_next(state, first, key, value);
}

const struct table_driver table_driver_inline = {
    .type = "inline",
    .fixed = true,
    .constant = true,
    .open = open_inline,
    .close = close_inline,
    .lookup = lookup,
    .next = next,
};
