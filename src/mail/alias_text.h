/*
 * The right-hand side of an alias (aliases(5)), and :include: and .forward files, whose
 * lines have the same form: addresses as in a header field, "|command", /file/name,
 * :include:/file/name, parted by commas. A whole item may stand in double quotes.
 */
#ifndef MAIL_ALIAS_TEXT_H
#define MAIL_ALIAS_TEXT_H

#include <stdbool.h>
#include "base/str.h"

enum alias_kind {
	ALIAS_ADDRESS, /* internal form; "\name" is the same as "name" */
	ALIAS_COMMAND, /* without '|' */
	ALIAS_FILE,    /* begins with '/' or "~/" */
	ALIAS_INCLUDE, /* what follows ":include:" */
};

/* Return false to stop. The text is valid during the call; it is at most ADDRESS_MAX
 * bytes, has no NUL, and is not empty. */
typedef bool alias_text_each(void *context, enum alias_kind kind, struct str text);

/* False: the callback stopped. What is no item is passed over. */
bool alias_text_walk(struct str text, alias_text_each *each, void *context);
/* A file: line by line, lines that begin with '#' are comments; a line longer than
 * `line_limit` bytes (line_length_limit) counts as several. */
bool alias_text_walk_file(
    struct str text, size_t line_limit, alias_text_each *each, void *context);

#endif
