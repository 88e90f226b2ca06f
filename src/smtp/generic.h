/*
 * smtp_generic_maps (generic(5)): addresses as other systems shall see them, in the
 * envelope and in the fields of the message's own header that hold addresses.
 */
#ifndef SMTP_GENERIC_H
#define SMTP_GENERIC_H

#include "base/arena.h"
#include "base/buf.h"

void generic_before_jail(void);
void generic_started(void);
bool generic_is_set(void);

/* What the tables make of an address, in the arena; the same when they do not know it.
 * False: a table, or the service that completes what it said, does not answer (logged).
 */
MUST_USE bool generic_map(struct str address, struct arena *a, struct str *mapped_r);
/* The field with its addresses mapped, folded lines with LF between; false as above. */
MUST_USE bool generic_map_field(struct str field, struct arena *a, struct buf *out);

#endif
