/*
 * The attribute lists that others than our services read and write: what showq sends and
 * what postdrop answers. A list is any number of name NUL value NUL, and one more NUL.
 */
#ifndef QUEUE_ATTR_LIST_H
#define QUEUE_ATTR_LIST_H

#include <stdbool.h>
#include "base/buf.h"

#define ATTR_LIST_STRING_MAX 8192 /* bytes of a name or a value */

/* A value is cut at ATTR_LIST_STRING_MAX; NUL and other control bytes become '?', and so
 * do bytes that are no UTF-8. */
void attr_list_add(struct buf *out, const char *name, struct str value);
void attr_list_end(struct buf *out);

enum attr_list_item {
	ATTR_LIST_MORE, /* not all of the item is there yet */
	ATTR_LIST_PAIR,
	ATTR_LIST_END,
	ATTR_LIST_BAD, /* a string that is too long */
};
/* Takes an item off the front of *in, which it moves on only for a pair and an end. */
enum attr_list_item attr_list_next(
    struct str *in, struct str *name_r, struct str *value_r);

#endif
