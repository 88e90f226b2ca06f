/* Header fields that were made or changed, laid out in lines (RFC 5322 2.2.3), and lines
 * of text for people. */
#ifndef MAIL_FOLD_H
#define MAIL_FOLD_H

#include "base/buf.h"

/* "To: a@b, c@d" with a line break after the comma behind which a line would grow long.
 */
void fold_addresses(struct str text, struct buf *out);
/* "From: phrase" and its "<address>", on a line of its own when both would be long. */
void fold_angle(struct str phrase_line, struct str address, struct buf *out);

/* The words of `text`, one blank between them; where a line of `out` would become longer
 * than `width` bytes stands `line_break` instead. No line end behind it. */
void fold_words(struct str text, size_t width, const char *line_break, struct buf *out);

#endif
