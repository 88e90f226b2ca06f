#include "queue/attr_list.h"

static void add_clean(struct buf *out, struct str s)
{
	while (s.len > 0) {
		size_t len = str_utf8_length(s);
		bool shown = len > 1 || (len == 1 && ascii_is_print(s.p[0]));
		if (shown)
			buf_add(out, s.p, len);
		else
			buf_add_char(out, '?');
		s = str_skip(s, shown ? len : 1);
	}
}

void attr_list_add(struct buf *out, const char *name, struct str value)
{
	buf_add_cstr(out, name);
	buf_add_char(out, '\0');
	add_clean(out, str_slice(value, 0, ATTR_LIST_STRING_MAX));
	buf_add_char(out, '\0');
}

void attr_list_end(struct buf *out)
{
	buf_add_char(out, '\0');
}

/* Up to the NUL, which is dropped. */
static enum attr_list_item take_string(struct str *in, struct str *string_r)
{
	ptrdiff_t end = str_find(str_slice(*in, 0, ATTR_LIST_STRING_MAX + 1), '\0');
	if (end < 0)
		return in->len > ATTR_LIST_STRING_MAX ? ATTR_LIST_BAD : ATTR_LIST_MORE;
	*string_r = str_slice(*in, 0, (size_t)end);
	*in = str_skip(*in, (size_t)end + 1);
	return ATTR_LIST_PAIR;
}

enum attr_list_item attr_list_next(
    struct str *in, struct str *name_r, struct str *value_r)
{
	struct str rest = *in;
	struct str name, value;
	enum attr_list_item item = take_string(&rest, &name);
	if (item != ATTR_LIST_PAIR)
		return item;
	if (name.len == 0) {
		*in = rest;
		return ATTR_LIST_END;
	}
	item = take_string(&rest, &value);
	if (item != ATTR_LIST_PAIR)
		return item;
	*in = rest;
	*name_r = name;
	*value_r = value;
	return ATTR_LIST_PAIR;
}
