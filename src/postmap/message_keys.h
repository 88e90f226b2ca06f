/* The keys of header_checks and body_checks in a message: postmap -h -b -q -. */
#ifndef POSTMAP_MESSAGE_KEYS_H
#define POSTMAP_MESSAGE_KEYS_H

#include <stdbool.h>
#include "base/str.h"

/* One call for each header with its continuation lines, and for each line of the body; an
 * empty line is no key. MIME structure is not looked at. */
void message_keys(struct str message, bool headers, bool body,
    void (*call)(void *context, struct str key), void *context);

#endif
