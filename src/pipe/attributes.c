#include "pipe/attributes.h"

static const struct {
	char letter;
	enum pipe_flag flag;
} letters[] = {
    {'B', PIPE_BLANK_END},
    {'D', PIPE_DELIVERED_TO},
    {'F', PIPE_FROM_LINE},
    {'O', PIPE_ORIGINAL_TO},
    {'R', PIPE_RETURN_PATH},
    {'X', PIPE_FINAL},
    {'h', PIPE_FOLD_DOMAIN},
    {'q', PIPE_QUOTE},
    {'u', PIPE_FOLD_LOCAL},
    {'.', PIPE_DOTS},
    {'>', PIPE_QUOTE_FROM},
};

static unsigned flag_of(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].flag;
	return 0;
}

static bool take_flags(struct pipe_attributes *a, const char *value, struct buf *error)
{
	for (; *value != '\0'; value++) {
		unsigned flag = flag_of(*value);
		if (flag == 0) {
			buf_printf(error, "unknown flag: %c (ignored)", *value);
			return false;
		}
		a->flags |= flag;
	}
	return true;
}

/* \ddd: up to three octal digits. */
static char take_octal(const char **p)
{
	unsigned value = 0;
	for (int i = 0; i < 3 && **p >= '0' && **p <= '7'; i++)
		value = value * 8 + (unsigned)(*(*p)++ - '0');
	return (char)(unsigned char)value;
}

static char unescape(const char **p)
{
	static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
	if (**p >= '0' && **p <= '7')
		return take_octal(p);
	for (size_t i = 0; names[i] != '\0'; i++)
		if (names[i] == **p) {
			++*p;
			return values[i];
		}
	return '\\';
}

static bool take_eol(struct pipe_attributes *a, const char *value, struct buf *error)
{
	size_t count = 0;
	while (*value != '\0') {
		char c = *value++;
		if (c == '\\')
			c = unescape(&value);
		if (c == '\0' || count + 1 >= sizeof(a->eol)) {
			buf_add_cstr(error, "bad value of eol= command-line attribute");
			return false;
		}
		a->eol[count++] = c;
	}
	a->eol[count] = '\0';
	return true;
}

static bool take_size(struct pipe_attributes *a, const char *value, struct buf *error)
{
	if (str_to_range(str_of(value), 0, INT64_MAX, &a->size))
		return true;
	buf_printf(error, "bad numerical size= attribute: %s", value);
	return false;
}

static bool take_directory(
    struct pipe_attributes *a, const char *value, UNUSED struct buf *error)
{
	a->directory = value;
	return true;
}

static bool take_root(
    struct pipe_attributes *a, const char *value, UNUSED struct buf *error)
{
	a->root = value;
	return true;
}

static bool take_null_sender(
    struct pipe_attributes *a, const char *value, UNUSED struct buf *error)
{
	a->null_sender = value;
	return true;
}

static const struct {
	const char *name;
	bool (*take)(struct pipe_attributes *a, const char *value, struct buf *error);
} rows[] = {
    {"flags=", take_flags},
    {"directory=", take_directory},
    {"chroot=", take_root},
    {"eol=", take_eol},
    {"null_sender=", take_null_sender},
    {"size=", take_size},
};

bool pipe_attributes_take(struct pipe_attributes *a, const char *word, struct buf *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_starts(str_of(word), str_of(rows[i].name)))
			return rows[i].take(a, word + strlen(rows[i].name), error);
	return false;
}
