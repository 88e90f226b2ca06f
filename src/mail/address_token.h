/*
 * Words of RFC 5322 structured text (3.2), for address parsing in src/mail only: what the
 * path parser and the list walker share. Never fails: bytes that fit nothing else belong
 * to an atom, an unclosed quote, literal or comment runs to the end of the text.
 */
#ifndef MAIL_ADDRESS_TOKEN_H
#define MAIL_ADDRESS_TOKEN_H

#include <stdbool.h>
#include "base/buf.h"

enum address_token_kind {
	ADDRESS_TOKEN_END,
	ADDRESS_TOKEN_SPACE,   /* blanks, tabs, line breaks */
	ADDRESS_TOKEN_COMMENT, /* (text), nested */
	ADDRESS_TOKEN_ATOM,    /* may hold \x pairs */
	ADDRESS_TOKEN_QUOTED,  /* "text", quotes included */
	ADDRESS_TOKEN_LITERAL, /* [text], brackets included */
	ADDRESS_TOKEN_SPECIAL, /* one of < > @ , ; : . ) ] */
};

struct address_token {
	enum address_token_kind kind;
	struct str text; /* as it stands */
	bool closed;     /* false: the closing quote, bracket or parenthesis is missing */
};

struct address_token address_token_next(struct str *rest);
/* With `more` bytes that are specials too (in an alias "|!%"). */
struct address_token address_token_next_among(struct str *rest, const char *more);
bool address_token_is(const struct address_token *t, char special);

/*
 * Builds an address in internal form from its tokens: blanks and comments are dropped,
 * quotes and escapes removed, a literal's missing bracket added. Refuses (ok false,
 * sticky) two words without '.' or '@' between them, an empty word between two '@',
 * specials that have no place in an address, unclosed quotes. No text at all is fine.
 */
struct address_builder {
	struct buf *internal;
	enum {
		ADDRESS_BUILD_START,
		ADDRESS_BUILD_WORD,
		ADDRESS_BUILD_DOT,
		ADDRESS_BUILD_AT
	} last;
	bool ok;
};
void address_builder_init(struct address_builder *b, struct buf *internal);
void address_builder_add(struct address_builder *b, const struct address_token *t);

#endif
