/*
 * Queue ids: short = microseconds as 5 upper-case hex digits + inode in hex; long (with
 * enable_long_queue_ids) = seconds base 52 (6 or more) + microseconds base 52 (4) + 'z' +
 * inode base 51. Also the hashed directory of a name.
 */
#ifndef QUEUE_QUEUE_ID_H
#define QUEUE_QUEUE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include "base/buf.h"

#define QUEUE_ID_MAX 64

void queue_id_make(
    char id[QUEUE_ID_MAX], struct timeval when, uint64_t inode, bool long_form);
/* Letters and digits, 5 to QUEUE_ID_MAX - 1: safe as a file name. */
bool queue_id_valid(struct str id);
/* The microseconds in a long id; false: not a long id. */
MUST_USE bool queue_id_long_microseconds(struct str id, uint32_t *microseconds_r);
/* The id that a file of this inode should have: the time of `id`, another inode. A long
 * id becomes a short one when not `long_form`; a short one stays short. */
void queue_id_with_inode(
    char out[QUEUE_ID_MAX], struct str id, uint64_t inode, bool long_form);
/* False when the id does not carry an inode (or it is not this one): postsuper -s. */
bool queue_id_has_inode(struct str id, uint64_t inode);

#endif
