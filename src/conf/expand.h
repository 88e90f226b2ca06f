/*
 * The $name language alone, for main.cf values and for other texts that use it (reply
 * texts, pipe arguments, forward_path). Recursion is cut at 100 levels; output by the
 * buffer's ceiling.
 */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

#include <stdbool.h>
#include "base/buf.h"

/* Gives the raw value of a name; NULL: unknown. *expand_r says whether $ in it counts. */
typedef const char *expand_lookup(void *context, struct str name, bool *expand_r);

/* False: syntax error, unknown operator, too deep; the reason is added to `error`.
 * Unknown names expand to nothing and set *unknown_r (when not NULL). */
MUST_USE bool expand_text(struct str text, expand_lookup *lookup, void *context,
    struct buf *out, struct buf *error, bool *unknown_r);

#endif
