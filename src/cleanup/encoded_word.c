/* Encoded words (RFC 2047) for a full name that is not ASCII. */
#include "cleanup/cleanup.h"

/* Of encoded text in a quoted word; RFC 2047 2 allows 75 with the frame, Postfix more. */
#define WORD_TEXT_MAX  61
#define BASE64_GROUPED 45 /* bytes that make 60 of base64 */

/* RFC 2047 5 (3): what may stand for itself in a phrase. */
static bool is_plain(char c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("!*+-/", c) != NULL);
}

/* Names of words: letters of any script, and blanks. Postfix writes others in base64. */
static bool suits_quoted(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] < 128 && text.p[i] != ' ' &&
		    !is_plain(text.p[i]))
			return false;
	return true;
}

static void add_quoted(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (is_plain(text.p[i]))
			buf_add_char(out, text.p[i]);
		else if (text.p[i] == ' ')
			buf_add_char(out, '_');
		else
			buf_printf(out, "=%02X", (unsigned char)text.p[i]);
	}
}

static void add_base64(struct buf *out, struct str text)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < text.len; i += 3) {
		uint32_t group = 0;
		for (size_t k = 0; k < 3; k++)
			group = group << 8 |
			    (i + k < text.len ? (unsigned char)text.p[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(out,
			    i + k > text.len ? '=' : digits[group >> (18 - 6 * k) & 63]);
	}
}

void encoded_words(struct str text, const char *charset, struct buf *out)
{
	CLEANUP(buf_free) struct buf quoted = BUF_INIT(text.len * 3 + 1);
	add_quoted(&quoted, text);
	if (quoted.len <= WORD_TEXT_MAX && suits_quoted(text)) {
		buf_printf(out, "=?%s?Q?%s?=", charset, buf_cstr(&quoted));
		return;
	}
	for (size_t i = 0; i < text.len; i += BASE64_GROUPED) {
		buf_printf(out, "%s=?%s?B?", i > 0 ? "\n\t" : "", charset);
		add_base64(out, str_slice(str_skip(text, i), 0, BASE64_GROUPED));
		buf_add_cstr(out, "?=");
	}
}
