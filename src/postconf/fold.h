/* Output lines of postconf -f: words joined by one blank, lines of at most `columns`. */
#ifndef POSTCONF_FOLD_H
#define POSTCONF_FOLD_H

#include "base/buf.h"

#define FOLD_PARAMETER 80
#define FOLD_ROW       79

/* Appends a word to the line that `out` ends with, or, where it does not fit, to a new
 * one that begins with four blanks. */
void fold_word(struct buf *out, struct str word, size_t columns);
void fold_break(struct buf *out); /* a new line in any case */
/* All words of a text. */
void fold_text(struct buf *out, struct str text, size_t columns);

#endif
