/* Text in { } inside the name of a table. */
#ifndef TABLE_BRACES_H
#define TABLE_BRACES_H

#include "base/str.h"

/* `text` begins with '{': what stands up to its end without the outer braces and the
 * blanks inside them. NULL, or what is wrong, `text` untouched. */
const char *braces_strip(struct str *text);

#endif
