#include "mail/address_list.h"

#include "mail/address.h"
#include "mail/address_token.h"

/*
 * The text is looked at one element at a time: what lies between commas. An element is
 * "phrase <address>", a bare address, or, as old programs write, several of these with
 * blanks between. "name:" opens a group, ';' closes it; both only separate.
 */
struct walk {
	struct str text;
	struct str rest;
	size_t tokens_left;
	size_t copied; /* bytes of `text` that are in `out` or were replaced */
	size_t
	    previous; /* where the address before this one ends, '>' included; 0: none */
	struct str leading; /* comments before a bare address; len 0: none */
	address_list_each *each;
	void *context;
	struct buf *out;
	struct buf internal, replacement;
	bool stopped;
};

static struct address_token next(struct walk *w)
{
	if (w->tokens_left == 0)
		return (struct address_token){.kind = ADDRESS_TOKEN_END};
	w->tokens_left--;
	return address_token_next(&w->rest);
}

static size_t offset_of(const struct walk *w, const char *p)
{
	return (size_t)(p - w->text.p);
}

static struct str span_between(struct str first, struct str last)
{
	return (struct str){first.p, (size_t)(last.p + last.len - first.p)};
}

/* Comments inside an address go behind it. */
static void write_comments(struct buf *out, struct str span)
{
	struct address_token t;
	while ((t = address_token_next(&span)).kind != ADDRESS_TOKEN_END) {
		if (t.kind != ADDRESS_TOKEN_COMMENT)
			continue;
		buf_add_char(out, ' ');
		buf_add_str(out, t.text);
	}
}

/* Puts the address in the place of `span`. When only blanks part it from the address
 * before, a comma is set there, as rewritten lists should be readable by all. */
static void write_address(struct walk *w, struct str span)
{
	if (w->previous > 0) {
		buf_add_str(w->out, str_slice(w->text, w->copied, w->previous));
		buf_add_char(w->out, ',');
		w->copied = w->previous;
	}
	size_t start = offset_of(w, span.p);
	size_t before = w->leading.len > 0 ? offset_of(w, w->leading.p) : start;
	buf_add_str(w->out, str_slice(w->text, w->copied, before));
	address_quote(
	    w->out, buf_str(w->replacement.len > 0 ? &w->replacement : &w->internal));
	write_comments(w->out, w->leading);
	write_comments(w->out, span);
	w->copied = start + span.len;
}

/* Offers the address that stands in `span`. */
static void offer(struct walk *w, struct str span)
{
	if (w->internal.len == 0 || !buf_ok(&w->internal))
		return;
	buf_clear(&w->replacement);
	if (!w->each(w->context, buf_str(&w->internal), &w->replacement))
		w->stopped = true;
	else if (w->out != NULL && buf_ok(&w->replacement))
		write_address(w, span);
}

/* Behind '<', up to '>' or the end; a route before ':' is dropped. */
static void angle_address(struct walk *w)
{
	struct address_builder b;
	address_builder_init(&b, &w->internal);
	struct str inside = w->rest;
	struct address_token t;
	while ((t = next(w)).kind != ADDRESS_TOKEN_END && !address_token_is(&t, '>')) {
		if (address_token_is(&t, ':') || address_token_is(&t, ','))
			address_builder_init(&b, &w->internal);
		else
			address_builder_add(&b, &t);
	}
	if (t.kind != ADDRESS_TOKEN_END && b.ok)
		offer(w, str_slice(inside, 0, (size_t)(t.text.p - inside.p)));
}

/* Behind '>' a comment stands without a blank between. */
static void join_comment(struct walk *w)
{
	struct str rest = w->rest;
	struct address_token blank = address_token_next(&rest);
	struct address_token comment = address_token_next(&rest);
	if (w->out == NULL || blank.kind != ADDRESS_TOKEN_SPACE ||
	    comment.kind != ADDRESS_TOKEN_COMMENT)
		return;
	buf_add_str(w->out, str_slice(w->text, w->copied, offset_of(w, blank.text.p)));
	w->copied = offset_of(w, comment.text.p);
}

static bool is_word(const struct address_token *t)
{
	return t->kind == ADDRESS_TOKEN_ATOM || t->kind == ADDRESS_TOKEN_QUOTED ||
	    t->kind == ADDRESS_TOKEN_LITERAL;
}

static bool is_separator(const struct address_token *t)
{
	return address_token_is(t, ',') || address_token_is(t, ';') ||
	    address_token_is(t, ':');
}

/* Does the element that starts at `rest` hold "<" (then what precedes it is a phrase), or
 * end in ':' (then it is the name of a group)? */
static bool is_phrase(struct str rest, size_t tokens_left)
{
	while (tokens_left-- > 0) {
		struct address_token t = address_token_next(&rest);
		if (address_token_is(&t, '<') || address_token_is(&t, ':'))
			return true;
		if (t.kind == ADDRESS_TOKEN_END || is_separator(&t))
			return false;
	}
	return false;
}

/* One bare address: words joined by '.' and '@', blanks and comments between allowed. */
static void bare_address(struct walk *w, struct address_token first)
{
	struct address_builder b;
	address_builder_init(&b, &w->internal);
	address_builder_add(&b, &first);
	struct str last = first.text;
	for (;;) {
		struct str before = w->rest;
		struct address_token t = next(w);
		bool joins = address_token_is(&t, '.') || address_token_is(&t, '@') ||
		    (is_word(&t) && b.last != ADDRESS_BUILD_WORD);
		if (t.kind == ADDRESS_TOKEN_SPACE || t.kind == ADDRESS_TOKEN_COMMENT)
			continue;
		if (!joins) {
			if (t.kind != ADDRESS_TOKEN_END) {
				w->rest = before;
				w->tokens_left++;
			}
			break;
		}
		address_builder_add(&b, &t);
		last = t.text;
	}
	if (b.ok)
		offer(w, span_between(first.text, last));
	w->previous = offset_of(w, last.p) + last.len;
}

static void element(struct walk *w)
{
	w->previous = 0;
	w->leading = STR_EMPTY;
	bool phrase = is_phrase(w->rest, w->tokens_left);
	while (!w->stopped) {
		struct address_token t = next(w);
		if (t.kind == ADDRESS_TOKEN_END || is_separator(&t))
			return;
		if (address_token_is(&t, '<')) {
			angle_address(w);
			join_comment(w);
			w->previous = offset_of(w, w->rest.p);
			phrase = is_phrase(w->rest, w->tokens_left);
		} else if (!phrase &&
		    (is_word(&t) || address_token_is(&t, '@') ||
			address_token_is(&t, '.'))) {
			bare_address(w, t);
			w->leading = STR_EMPTY;
		} else if (!phrase && w->previous == 0 &&
		    t.kind == ADDRESS_TOKEN_COMMENT) {
			w->leading = w->leading.len > 0 ? span_between(w->leading, t.text)
							: t.text;
		}
	}
}

bool address_list_walk(struct str text, size_t token_limit, address_list_each *each,
    void *context, struct buf *out)
{
	struct walk w = {.text = text,
	    .rest = text,
	    .tokens_left = token_limit,
	    .each = each,
	    .context = context,
	    .out = out,
	    .internal = BUF_INIT(ADDRESS_MAX),
	    .replacement = BUF_INIT(ADDRESS_MAX)};
	while (!w.stopped && w.rest.len > 0 && w.tokens_left > 0)
		element(&w);
	if (out != NULL)
		buf_add_str(out, str_skip(text, w.copied));
	buf_free(&w.internal);
	buf_free(&w.replacement);
	return !w.stopped;
}
