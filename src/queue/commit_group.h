/*
 * Group commit: records of many fibers become safe with one write and one sync. Whoever
 * comes while a sync is under way waits for the next one; there is no timer: a lone
 * record waits only for processes that want the same processor now, as they may bring
 * more. Two segments are used in turn: while one fills up, the other
 * is emptied, in the background.
 */
#ifndef QUEUE_COMMIT_GROUP_H
#define QUEUE_COMMIT_GROUP_H

#include <stdbool.h>
#include "queue/commit_segment.h"
#include "queue/commit_slots.h"

struct commit_group;

/* `dir`, the directory commit, stays open as long; segments of `size` bytes are made at
 * first use. No segment is emptied before all of its messages that lie in `slots` (NULL:
 * none do) are settled. */
struct commit_group *commit_group_new(int dir, int64_t size, struct commit_slots *slots);
/* Starts to make a segment ready, in the background; without, the first append does. */
void commit_group_prepare(struct commit_group *g);
/* The process is about to end: its segments are left empty for the next one, or with
 * their records, which are still needed (`full`). To be asked again until it is true;
 * meanwhile and afterwards appending gives -EAGAIN. */
MUST_USE bool commit_group_retire(struct commit_group *g, bool full);
/* Nothing may be waiting. The records stay. NULL is fine. */
void commit_group_free(struct commit_group *g);

/*
 * From a fiber; waits until the record is safe. The record's strings are the caller's and
 * live as long. 0; -EAGAIN: no segment has room, nothing was written: make the message
 * durable in another way; -errno: it may or may not come back after a crash.
 */
MUST_USE int commit_group_append(
    struct commit_group *g, const struct segment_record *record);

/* Why no segment can be had (once after it happened; for a log line), or 0. */
int commit_group_trouble(struct commit_group *g);
/* Work of its own is under way: the process must not end yet. */
bool commit_group_busy(const struct commit_group *g);

#endif
