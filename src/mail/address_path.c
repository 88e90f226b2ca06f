#include "mail/address.h"
#include "mail/address_token.h"

/* Bytes of a quoted string at the start of `s`, its end quote included. */
static size_t quoted_length(struct str s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.len;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The path ends at the first blank outside quotes and angle brackets. False: a bracket is
 * never closed. RFC 5321 allows one pair; "<<a@b>>" is seen in the wild.
 */
static bool path_length(struct str s, size_t *length_r)
{
	size_t depth = 0;
	size_t i = 0;
	while (i < s.len && (depth > 0 || !is_blank(s.p[i]))) {
		if (s.p[i] == '"') {
			i += quoted_length(str_skip(s, i));
			continue;
		}
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '<')
			depth++;
		else if (s.p[i] == '>' && depth > 0)
			depth--;
		i++;
	}
	*length_r = i < s.len ? i : s.len;
	return depth == 0;
}

/* Takes brackets off, in pairs, then '>' that came without '<'. */
static struct str without_brackets(struct str s)
{
	while (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = str_trim(str_slice(s, 1, s.len - 1));
	while (s.len > 1 && s.p[s.len - 1] == '>')
		s.len--;
	return s;
}

/* "@a.test,@b.test:user@c.test": RFC 5321 4.1.2 lets us ignore the route. */
static struct str without_route(struct str s)
{
	struct str rest = s;
	struct address_token t = address_token_next(&rest);
	if (!address_token_is(&t, '@'))
		return s;
	while ((t = address_token_next(&rest)).kind != ADDRESS_TOKEN_END)
		if (address_token_is(&t, ':'))
			return rest;
	return s;
}

static bool build(struct str text, struct buf *internal)
{
	struct address_builder builder;
	address_builder_init(&builder, internal);
	struct address_token t;
	while (builder.ok && (t = address_token_next(&text)).kind != ADDRESS_TOKEN_END)
		address_builder_add(&builder, &t);
	return builder.ok && buf_ok(internal);
}

bool address_path_parse(struct str text, struct address_path_rules rules,
    struct buf *internal, struct str *rest_r)
{
	buf_clear(internal);
	text = str_trim(text);
	size_t length = 0;
	if (text.len == 0 || !path_length(text, &length))
		return false;
	struct str path = str_slice(text, 0, length);
	if (path.len > ADDRESS_MAX)
		return false;
	bool bracketed = path.p[0] == '<' && path.p[path.len - 1] == '>';
	if (rules.strict && !bracketed)
		return false;
	struct str address = without_brackets(path);
	if (bracketed && address.len == 0) {
		*rest_r = str_trim(str_skip(text, length));
		return rules.null_ok;
	}
	if (rules.utf8_ok && !str_is_utf8(address))
		return false;
	/* Whatever builds an empty address ("" or a comment) is not the null path. */
	if (!build(without_route(address), internal) || internal->len == 0 ||
	    !address_envelope_valid(buf_str(internal), rules)) {
		buf_clear(internal);
		return false;
	}
	*rest_r = str_trim(str_skip(text, length));
	return true;
}
