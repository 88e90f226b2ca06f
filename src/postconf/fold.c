#include "postconf/fold.h"

#define INDENT "    "

static size_t line_length(const struct buf *out)
{
	ptrdiff_t start = str_find_last(buf_str(out), '\n');
	return out->len - (size_t)(start + 1);
}

void fold_break(struct buf *out)
{
	buf_add_cstr(out, "\n" INDENT);
}

void fold_word(struct buf *out, struct str word, size_t columns)
{
	size_t length = line_length(out);
	bool fresh = out->len == 0 || str_ends(buf_str(out), STR("\n" INDENT));
	if (!fresh && length + 1 + word.len > columns) {
		fold_break(out);
		fresh = true;
	}
	if (!fresh)
		buf_add_char(out, ' ');
	buf_add_str(out, word);
}

void fold_text(struct buf *out, struct str text, size_t columns)
{
	struct str word;
	while (str_next(&text, " \t\r\n", &word))
		fold_word(out, word, columns);
}
