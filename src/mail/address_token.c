#include "mail/address_token.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c, const char *more)
{
	switch (c) {
	case '(':
	case ')':
	case '<':
	case '>':
	case '@':
	case ',':
	case ';':
	case ':':
	case '.':
	case '"':
	case '[':
	case ']':
		return true;
	default:
		return *more != '\0' && c != '\0' && strchr(more, c) != NULL;
	}
}

static size_t comment_length(struct str s, bool *closed_r)
{
	size_t depth = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0) {
			*closed_r = true;
			return i + 1;
		}
	}
	*closed_r = false;
	return s.len;
}

/* Of "quoted text" or [literal]: up to the first unescaped `end` after the first byte. */
static size_t enclosed_length(struct str s, char end, bool *closed_r)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '\\') {
			i++;
		} else if (s.p[i] == end) {
			*closed_r = true;
			return i + 1;
		}
	}
	*closed_r = false;
	return s.len;
}

static size_t space_length(struct str s)
{
	size_t i = 0;
	while (i < s.len && is_blank(s.p[i]))
		i++;
	return i;
}

static size_t atom_length(struct str s, const char *more)
{
	size_t i = 0;
	while (i < s.len && !is_blank(s.p[i]) && !is_special(s.p[i], more))
		i += s.p[i] == '\\' && i + 1 < s.len ? 2 : 1;
	return i;
}

struct address_token address_token_next_among(struct str *rest, const char *more)
{
	struct address_token t = {
	    .kind = ADDRESS_TOKEN_END, .text = str_slice(*rest, 0, 0), .closed = true};
	if (rest->len == 0)
		return t;
	char c = rest->p[0];
	size_t length = 1;
	if (is_blank(c)) {
		t.kind = ADDRESS_TOKEN_SPACE;
		length = space_length(*rest);
	} else if (c == '(') {
		t.kind = ADDRESS_TOKEN_COMMENT;
		length = comment_length(*rest, &t.closed);
	} else if (c == '"') {
		t.kind = ADDRESS_TOKEN_QUOTED;
		length = enclosed_length(*rest, '"', &t.closed);
	} else if (c == '[') {
		t.kind = ADDRESS_TOKEN_LITERAL;
		length = enclosed_length(*rest, ']', &t.closed);
	} else if (is_special(c, more)) {
		t.kind = ADDRESS_TOKEN_SPECIAL;
	} else {
		t.kind = ADDRESS_TOKEN_ATOM;
		length = atom_length(*rest, more);
	}
	t.text = str_slice(*rest, 0, length);
	*rest = str_skip(*rest, length);
	return t;
}

struct address_token address_token_next(struct str *rest)
{
	return address_token_next_among(rest, "");
}

bool address_token_is(const struct address_token *t, char special)
{
	return t->kind == ADDRESS_TOKEN_SPECIAL && t->text.p[0] == special;
}

void address_builder_init(struct address_builder *b, struct buf *internal)
{
	buf_clear(internal);
	*b = (struct address_builder){.internal = internal, .ok = true};
}

/* Line breaks inside quotes are folding (RFC 5322 3.2.4): they are not part of the word.
 */
static void add_unescaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len)
			i++;
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_add_char(out, s.p[i]);
	}
}

static void add_word(struct address_builder *b, const struct address_token *t)
{
	struct str text = t->text;
	if (t->kind == ADDRESS_TOKEN_QUOTED) {
		b->ok = b->ok && t->closed;
		text = str_slice(text, 1, text.len - (t->closed ? 1 : 0));
	}
	/* A literal stands for a whole domain, so only behind '@'. */
	if (b->last == ADDRESS_BUILD_WORD ||
	    (t->kind == ADDRESS_TOKEN_LITERAL && b->last != ADDRESS_BUILD_AT))
		b->ok = false;
	if (t->kind == ADDRESS_TOKEN_LITERAL) {
		buf_add_str(b->internal, text);
		if (!t->closed)
			buf_add_char(b->internal, ']');
	} else {
		add_unescaped(b->internal, text);
	}
	b->last = ADDRESS_BUILD_WORD;
}

void address_builder_add(struct address_builder *b, const struct address_token *t)
{
	switch (t->kind) {
	case ADDRESS_TOKEN_END:
	case ADDRESS_TOKEN_SPACE:
	case ADDRESS_TOKEN_COMMENT:
		return;
	case ADDRESS_TOKEN_ATOM:
	case ADDRESS_TOKEN_QUOTED:
	case ADDRESS_TOKEN_LITERAL:
		add_word(b, t);
		return;
	case ADDRESS_TOKEN_SPECIAL:
		break;
	}
	if (address_token_is(t, '.')) {
		b->last = ADDRESS_BUILD_DOT;
	} else if (address_token_is(t, '@')) {
		b->ok = b->ok && b->last != ADDRESS_BUILD_AT;
		b->last = ADDRESS_BUILD_AT;
	} else {
		b->ok = false;
		return;
	}
	buf_add_str(b->internal, t->text);
}
