/*
 * Waiting for a descriptor. A struct run_watch belongs to one non-blocking descriptor for
 * its whole life. At most one fiber waits for reading and one for writing at a time. A
 * report that nobody waits for stops the watch; the next wait starts it again.
 */
#ifndef RUN_WAIT_H
#define RUN_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"

struct run_watch;

/* Never NULL. The descriptor stays the caller's; free the watch before closing it. */
struct run_watch *run_watch_new(int fd);
void run_watch_free(struct run_watch *w); /* NULL is fine; no fiber may wait on it */

/* 0 when ready (or in error: the next call on it tells), -ETIMEDOUT at the deadline,
 * -ECANCELED after run_watch_cancel. */
MUST_USE int run_wait_readable(struct run_watch *w, int64_t deadline);
MUST_USE int run_wait_writable(struct run_watch *w, int64_t deadline);
/* Ends the waits under way and all later ones with -ECANCELED. */
void run_watch_cancel(struct run_watch *w);

/* A callback on the main stack each time the descriptor is readable, or writable, while
 * switched on; for listeners, status pipes and other libraries. NULL switches off. The
 * callback may free the watch. */
void run_watch_on_readable(struct run_watch *w, void (*callback)(void *), void *argument);
void run_watch_on_writable(struct run_watch *w, void (*callback)(void *), void *argument);

#endif
