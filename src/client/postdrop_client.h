/*
 * postdrop(1) at the other end of two pipes: records go in, its answer comes out. It is
 * run as the real user of the calling process, to whom the message belongs.
 *
 *	p = postdrop_start(directory)
 *	postdrop_write(p, &records, false)       as records come
 *	postdrop_write(p, &records, true)        the last, E, among them
 *	if (!postdrop_finish(p, &reason)) ...    not safe
 *	postdrop_free(p)
 *
 * Calls block the process, fibers and all: for programs that carry one message.
 */
#ifndef CLIENT_POSTDROP_CLIENT_H
#define CLIENT_POSTDROP_CLIENT_H

#include <stdbool.h>
#include "base/attributes.h"
#include "base/buf.h"

struct postdrop;

/* Starts DIRECTORY/postdrop. NULL: it did not start, a warning says why. */
struct postdrop *postdrop_start(const char *directory);
const char *postdrop_queue_id(const struct postdrop *p);
/* The records go to postdrop when there are many, or `all`, and are dropped. When it gave
 * up, its answer tells why. */
void postdrop_write(struct postdrop *p, struct buf *records, bool all);
/* True: the message is safe. False: why not, in words, is in `reason`, which was empty.
 */
MUST_USE bool postdrop_finish(struct postdrop *p, struct buf *reason);
/* What was not finished is forgotten. NULL is fine. */
void postdrop_free(struct postdrop *p);

#endif
