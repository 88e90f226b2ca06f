#include "mail/mime_field.h"

/* A word of a structured MIME field: a token (RFC 2045 5.1), a quoted string, one
 * special, or the end. */
struct word {
	enum { WORD_END, WORD_TOKEN, WORD_QUOTED, WORD_SPECIAL } kind;
	struct str text; /* quoted: what stands between the quotes, escapes included */
};

static bool is_token(char c)
{
	return (unsigned char)c > 32 && c != 127 &&
	    strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Behind the comment that `rest` starts with; an open one takes all. */
static struct str skip_comment(struct str rest)
{
	unsigned depth = 0;
	for (size_t i = 0; i < rest.len; i++) {
		if (rest.p[i] == '\\')
			i++;
		else if (rest.p[i] == '(')
			depth++;
		else if (rest.p[i] == ')' && --depth == 0)
			return str_skip(rest, i + 1);
	}
	return STR_EMPTY;
}

static struct word quoted(struct str *rest)
{
	struct str text = str_skip(*rest, 1);
	size_t end = 0;
	while (end < text.len && text.p[end] != '"')
		end += text.p[end] == '\\' ? 2 : 1;
	*rest = str_skip(text, end + 1);
	return (struct word){WORD_QUOTED, str_slice(text, 0, end)};
}

static struct word next(struct str *rest)
{
	while (rest->len > 0 && (ascii_is_space(rest->p[0]) || rest->p[0] == '('))
		*rest = rest->p[0] == '(' ? skip_comment(*rest) : str_skip(*rest, 1);
	if (rest->len == 0)
		return (struct word){.kind = WORD_END};
	if (rest->p[0] == '"')
		return quoted(rest);
	size_t len = 0;
	while (len < rest->len && is_token(rest->p[len]))
		len++;
	struct word word = {
	    len > 0 ? WORD_TOKEN : WORD_SPECIAL, str_slice(*rest, 0, len > 0 ? len : 1)};
	*rest = str_skip(*rest, word.text.len);
	return word;
}

static bool is(struct word word, const char *token)
{
	return word.kind == WORD_TOKEN && str_is_nocase(word.text, token);
}

static bool is_special(struct word word, char c)
{
	return word.kind == WORD_SPECIAL && word.text.p[0] == c;
}

static void add_value(struct buf *out, struct word word)
{
	struct str text = str_slice(word.text, 0, out->ceiling);
	for (size_t i = 0; i < text.len; i++) {
		if (word.kind == WORD_QUOTED && text.p[i] == '\\' && i + 1 < text.len)
			i++;
		buf_add_char(out, text.p[i]);
	}
}

/* The first value of the parameter `boundary`. */
static void find_boundary(struct str rest, struct buf *out)
{
	struct word word = next(&rest);
	while (word.kind != WORD_END) {
		bool named = is(word, "boundary");
		word = next(&rest);
		if (!named || !is_special(word, '='))
			continue;
		word = next(&rest);
		if (word.kind == WORD_TOKEN || word.kind == WORD_QUOTED)
			add_value(out, word);
		return;
	}
}

void mime_parse_type(struct str body, struct mime_content_type *r)
{
	struct word type = next(&body);
	bool slash = is_special(next(&body), '/');
	struct word subtype = next(&body);
	r->type = MIME_TYPE_OTHER;
	r->digest = false;
	buf_clear(&r->boundary);
	if (!slash || subtype.kind != WORD_TOKEN)
		return;
	if (is(type, "multipart")) {
		find_boundary(body, &r->boundary);
		r->digest = is(subtype, "digest");
		r->type = r->boundary.len > 0 ? MIME_TYPE_MULTIPART : MIME_TYPE_OTHER;
	} else if (is(type, "message")) {
		bool inner = is(subtype, "rfc822") || is(subtype, "global");
		r->type = inner ? MIME_TYPE_MESSAGE : MIME_TYPE_OPAQUE_MESSAGE;
	}
}

enum mime_encoding mime_parse_encoding(struct str body)
{
	static const struct {
		const char *name;
		enum mime_encoding encoding;
	} rows[] = {{"7bit", MIME_7BIT}, {"8bit", MIME_8BIT}, {"binary", MIME_BINARY},
	    {"quoted-printable", MIME_QUOTED_PRINTABLE}, {"base64", MIME_BASE64}};
	struct word word = next(&body);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (is(word, rows[i].name))
			return rows[i].encoding;
	return MIME_ENCODING_OTHER;
}
