#include "mail/alias_text.h"

#include "mail/address.h"
#include "mail/address_token.h"

#define SPECIALS     "|!%" /* beside those of addresses */
#define SHOWN_LENGTH 100   /* of what is too long */

static const struct str include = {":include:", sizeof(":include:") - 1};

struct word {
	struct address_token token;
	bool member; /* of an item */
	bool first;  /* of its item */
};

static struct address_token next(struct str *rest)
{
	return address_token_next_among(rest, SPECIALS);
}

static bool is_word(const struct address_token *t)
{
	return t->kind == ADDRESS_TOKEN_ATOM || t->kind == ADDRESS_TOKEN_QUOTED ||
	    t->kind == ADDRESS_TOKEN_LITERAL;
}

/* --- what belongs to which item: from the end to the beginning --- */

enum part {
	PART_ITEM,   /* outside "<>" */
	PART_ANGLE,  /* inside */
	PART_PHRASE, /* before '<' */
	PART_GROUP   /* its name */
};

struct parse {
	struct word *words;
	enum part part;
	bool in_group; /* its ';' was seen */
};

/* The item to the right, if there is one, began there. */
static void end_item(struct parse *p, size_t at)
{
	if (p->words[at + 1].member)
		p->words[at + 1].first = true;
}

static void item_word(struct parse *p, size_t at)
{
	struct word *w = &p->words[at];
	const struct word *right = w + 1;
	bool closes = address_token_is(&w->token, '>');
	bool names = address_token_is(&w->token, ':') && p->in_group;
	bool parts = address_token_is(&w->token, ',') || address_token_is(&w->token, ';');
	w->member = !closes && !names && !parts;
	if (!w->member || (is_word(&w->token) && is_word(&right->token)))
		end_item(p, at);
	if (closes)
		p->part = PART_ANGLE;
	if (names)
		p->part = PART_GROUP;
	p->in_group = !names && (p->in_group || address_token_is(&w->token, ';'));
}

static void angle_word(struct parse *p, size_t at)
{
	p->words[at].member = !address_token_is(&p->words[at].token, '<');
	if (!p->words[at].member) {
		end_item(p, at);
		p->part = PART_PHRASE;
	}
}

static void phrase_word(struct parse *p, size_t at)
{
	const struct address_token *t = &p->words[at].token;
	bool colon = address_token_is(t, ':');
	if (!colon && !address_token_is(t, ',') && !address_token_is(t, ';') &&
	    !address_token_is(t, '>'))
		return;
	p->part = PART_ITEM;
	if (!colon || p->in_group)
		item_word(p, at);
}

static void parse_word(struct parse *p, size_t at)
{
	switch (p->part) {
	case PART_ITEM:
		item_word(p, at);
		break;
	case PART_ANGLE:
		angle_word(p, at);
		break;
	case PART_PHRASE:
		phrase_word(p, at);
		break;
	case PART_GROUP:
		if (address_token_is(&p->words[at].token, ','))
			p->part = PART_ITEM;
		break;
	}
}

/* --- the text of an item --- */

/* A line break inside is a blank. */
static void add_plain(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\' && ++i == s.len)
			return;
		buf_add_char(out, s.p[i] == '\r' || s.p[i] == '\n' ? ' ' : s.p[i]);
	}
}

static struct str inside_quotes(const struct address_token *t)
{
	return str_slice(t->text, 1, t->text.len - (t->closed ? 1 : 0));
}

static void add_literal(struct buf *out, const struct address_token *t)
{
	add_plain(out, t->text);
	if (!t->closed)
		buf_add_char(out, ']');
}

static void add_special(struct buf *out, const struct address_token *t)
{
	if (address_token_is(t, '<') && out->len > 0)
		buf_add_char(out, ' ');
	buf_add_str(out, t->text);
	if (address_token_is(t, ','))
		buf_add_char(out, ' ');
}

static void add_internal(struct buf *out, const struct address_token *t)
{
	if (t->kind == ADDRESS_TOKEN_QUOTED)
		add_plain(out, inside_quotes(t));
	else if (t->kind == ADDRESS_TOKEN_LITERAL)
		add_literal(out, t);
	else if (t->kind == ADDRESS_TOKEN_ATOM)
		add_plain(out, t->text);
	else
		add_special(out, t);
}

/* --- what it is --- */

struct walk {
	alias_text_each *each;
	void *context;
	struct buf item;
	bool in_item;
};

/* A source route counts for nothing (RFC 5321 appendix F.2). */
static struct str without_route(struct str address)
{
	ptrdiff_t colon = str_find(address, ':');
	if (str_equal(address, STR("@")))
		return STR_EMPTY;
	return str_starts(address, STR("@")) && colon > 0
	    ? str_skip(address, (size_t)colon + 1)
	    : address;
}

/* Behind a quote that is not closed the line's end may be left. */
static struct str trim_domain(struct str address)
{
	while (address.len > 0 && str_find(address, '@') >= 0 &&
	    address.p[address.len - 1] == ' ')
		address.len--;
	return address;
}

static bool give_address(const struct walk *w, struct str text)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX);
	text = trim_domain(without_route(text));
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(&address,
		    (unsigned char)text.p[i] < ' ' || text.p[i] == 127 ? '?' : text.p[i]);
	if (!buf_ok(&address))
		return w->each(w->context, ALIAS_TOO_LONG,
		    str_slice(buf_str(&address), 0, SHOWN_LENGTH));
	return w->each(w->context, ALIAS_ADDRESS, buf_str(&address));
}

static bool give_item(struct walk *w)
{
	struct str item = buf_str(&w->item);
	if (!w->in_item)
		return true;
	w->in_item = false;
	if (!buf_ok(&w->item))
		return w->each(
		    w->context, ALIAS_TOO_LONG, str_slice(item, 0, SHOWN_LENGTH));
	if (str_find(item, '\0') >= 0)
		return give_address(w, item); /* no name of a file or program has one */
	if (str_starts(item, STR("|")))
		return w->each(w->context, ALIAS_COMMAND, str_skip(item, 1));
	if (str_starts(item, STR("/")) || str_starts(item, STR("~")))
		return w->each(w->context, ALIAS_FILE, item);
	if (str_starts_nocase(item, include))
		return w->each(w->context, ALIAS_INCLUDE, str_skip(item, include.len));
	return give_address(w, item);
}

static bool walk_words(struct walk *w, const struct word *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if ((words[i].first || !words[i].member) && !give_item(w))
			return false;
		if (words[i].first)
			buf_clear(&w->item);
		w->in_item = words[i].member;
		if (words[i].member)
			add_internal(&w->item, &words[i].token);
	}
	return give_item(w);
}

bool alias_text_walk(struct str text, alias_text_each *each, void *context)
{
	const size_t size = sizeof(struct word);
	/* One word more at each end, which is no member of anything. */
	CLEANUP(buf_free) struct buf words = BUF_INIT((text.len + 2) * size);
	struct word word = {.token.kind = ADDRESS_TOKEN_END};
	buf_add(&words, &word, size);
	do {
		word.token = next(&text);
		if (word.token.kind != ADDRESS_TOKEN_SPACE &&
		    word.token.kind != ADDRESS_TOKEN_COMMENT)
			buf_add(&words, &word, size);
	} while (word.token.kind != ADDRESS_TOKEN_END);
	struct parse p = {.words = (struct word *)(void *)words.p};
	size_t count = words.len / size - 1;
	for (size_t at = count - 1; at > 0; at--)
		parse_word(&p, at);
	end_item(&p, 0);
	struct walk w = {
	    .each = each, .context = context, .item = BUF_INIT(ALIAS_TEXT_MAX)};
	bool done = walk_words(&w, p.words + 1, count - 1);
	buf_free(&w.item);
	return done;
}

bool alias_text_walk_file(
    struct str text, size_t line_limit, alias_text_each *each, void *context)
{
	bool go_on = true;
	while (go_on && text.len > 0) {
		ptrdiff_t end = str_find(text, '\n');
		size_t length = end < 0 ? text.len : (size_t)end;
		struct str line = length > line_limit
		    ? str_slice(text, 0, line_limit)
		    : str_slice(text, 0, length + (end < 0 ? 0 : 1));
		text = str_skip(text, line.len);
		if (!str_starts(line, STR("#")))
			go_on = alias_text_walk(line, each, context);
	}
	return go_on;
}

/* --- tidied --- */

static bool is_odd(char c)
{
	return (c >= 0 && c <= ' ') || c == 127 || strchr("()<>@,;:.\"[]\\" SPECIALS, c);
}

static bool is_plain(struct str atom)
{
	for (size_t i = 0; i < atom.len; i++)
		if (is_odd(atom.p[i]))
			return false;
	return true;
}

static void add_quoted(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

static void add_tidied(struct buf *out, const struct address_token *t)
{
	CLEANUP(buf_free) struct buf internal = BUF_INIT(t->text.len + 1);
	if (!is_word(t)) {
		buf_add_str(out, t->text);
		return;
	}
	add_internal(&internal, t);
	if (t->kind == ADDRESS_TOKEN_QUOTED ||
	    (t->kind == ADDRESS_TOKEN_ATOM && !is_plain(buf_str(&internal))))
		add_quoted(out, buf_str(&internal));
	else
		buf_add_str(out, buf_str(&internal));
}

static bool stands_apart(const struct address_token *t)
{
	return is_word(t) || t->kind == ADDRESS_TOKEN_COMMENT;
}

void alias_text_tidy(struct buf *out, struct str text)
{
	struct address_token before = {.kind = ADDRESS_TOKEN_END}, t;
	while ((t = next(&text)).kind != ADDRESS_TOKEN_END) {
		if (t.kind == ADDRESS_TOKEN_SPACE)
			continue;
		if ((stands_apart(&before) && stands_apart(&t)) ||
		    (address_token_is(&t, '<') && before.kind != ADDRESS_TOKEN_END &&
			!address_token_is(&before, ',')))
			buf_add_char(out, ' ');
		add_tidied(out, &t);
		if (address_token_is(&t, ','))
			buf_add_char(out, ' ');
		before = t;
	}
}
