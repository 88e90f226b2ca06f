/*
 * The right-hand side of an alias (aliases(5)), and :include: and .forward files, whose
 * lines have the same form: addresses as in a header field, "|command", /file/name,
 * :include:/file/name, parted by commas or blanks. What holds blanks, commas or other
 * specials stands in double quotes, all of it.
 *
 * Odd text is read as Postfix reads it: from its end to its beginning. '>' goes back to
 * '<' whatever lies between; ';' closes a group, whose name ends at the ':' before; all
 * other specials belong to the item, which ends where two words meet without any.
 */
#ifndef MAIL_ALIAS_TEXT_H
#define MAIL_ALIAS_TEXT_H

#include <stdbool.h>
#include "base/buf.h"

enum alias_kind {
	ALIAS_ADDRESS, /* internal form, control bytes as '?'; "": the null address */
	ALIAS_COMMAND, /* without '|'; may be empty */
	ALIAS_FILE,    /* begins with '/' or '~' */
	ALIAS_INCLUDE, /* what follows ":include:"; may be empty */
	ALIAS_TOO_LONG /* how it begins */
};

/* The longest command, file or list; addresses have ADDRESS_MAX. */
#define ALIAS_TEXT_MAX 100000

/* Return false to stop. The text is valid during the call and has no NUL. */
typedef bool alias_text_each(void *context, enum alias_kind kind, struct str text);

/* False: the callback stopped. */
bool alias_text_walk(struct str text, alias_text_each *each, void *context);
/* A file: line by line, lines that begin with '#' are comments; a line longer than
 * `line_limit` bytes (line_length_limit) counts as several. */
bool alias_text_walk_file(
    struct str text, size_t line_limit, alias_text_each *each, void *context);

/* The same text as postalias keeps it in a table: blanks only where words would meet and
 * around ',' and '<', quotes in place of backslashes, line breaks as blanks. */
void alias_text_tidy(struct buf *out, struct str text);

#endif
