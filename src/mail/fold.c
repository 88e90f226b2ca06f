/* Rewritten address lists, laid out afresh (RFC 5322 2.2.3): an element a piece, lines
 * below FOLD_COLUMNS where elements allow it. */
#include "mail/fold.h"

#define FOLD_COLUMNS 70

/* Bytes up to the first comma outside quotes and comments, or all. */
static size_t element_length(struct str s)
{
	bool quoted = false;
	unsigned comments = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"' && comments == 0)
			quoted = !quoted;
		else if (s.p[i] == '(' && !quoted)
			comments++;
		else if (s.p[i] == ')' && !quoted && comments > 0)
			comments--;
		else if (s.p[i] == ',' && !quoted && comments == 0)
			return i;
	}
	return s.len;
}

void fold_addresses(struct str text, struct buf *out)
{
	size_t column = 0;
	for (bool first = true;; first = false) {
		size_t len = element_length(text);
		struct str element = str_trim(str_slice(text, 0, len));
		if (!first) {
			size_t comma = len < text.len ? 1 : 0;
			bool fold = column + 2 + element.len + comma >= FOLD_COLUMNS;
			buf_add_cstr(out, fold && element.len > 0 ? ",\n\t" : ", ");
			column = fold ? 1 : column + 2;
		}
		buf_add_str(out, element);
		column += element.len;
		if (len == text.len)
			return;
		text = str_skip(text, len + 1);
	}
}

void fold_angle(struct str phrase_line, struct str address, struct buf *out)
{
	ptrdiff_t line = str_find_last(phrase_line, '\n');
	size_t column = line < 0 ? phrase_line.len : phrase_line.len - (size_t)line - 1;
	buf_add_str(out, phrase_line);
	buf_add_cstr(out, column + 3 + address.len >= FOLD_COLUMNS ? "\n\t<" : " <");
	buf_add_str(out, address);
	buf_add_char(out, '>');
}

void fold_words(struct str text, size_t width, const char *line_break, struct buf *out)
{
	size_t line_start = out->len;
	while (line_start > 0 && out->p[line_start - 1] != '\n')
		line_start--;
	struct str word;
	bool first = true;
	while (str_next(&text, " \t\r\n", &word)) {
		size_t column = out->len - line_start;
		if (!first && column + 1 + word.len > width) {
			line_start = out->len + 1;
			buf_add_cstr(out, line_break);
		} else if (!first) {
			buf_add_char(out, ' ');
		}
		buf_add_str(out, word);
		first = false;
	}
}
