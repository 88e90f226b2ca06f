/*
 * ${function{argument}}: the functions of the $name language. Today domain_to_ascii
 * (IDNA, RFC 5891 with the mapping of UTS 46).
 */
#ifndef CONF_EXPAND_FUNCTION_H
#define CONF_EXPAND_FUNCTION_H

#include <stdbool.h>
#include "base/buf.h"

/* Adds the result to `out`; false with the reason added to `error`. */
typedef bool expand_function(struct str argument, struct buf *out, struct buf *error);

expand_function *expand_function_find(struct str name); /* NULL: unknown */

#endif
