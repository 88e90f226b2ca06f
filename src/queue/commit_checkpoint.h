/*
 * The checkpoint (doc/commit.md): a time before which everything that was ever recorded
 * in a segment is durable in the queue's own files. Recovery passes by records with an
 * earlier stamp; a segment without later ones may be used again. One file, commit/
 * checkpoint, for all processes. Calls block: worker threads.
 */
#ifndef QUEUE_COMMIT_CHECKPOINT_H
#define QUEUE_COMMIT_CHECKPOINT_H

#include <stdint.h>
#include "base/attributes.h"

/* The time, 0 when there was none yet. -errno. */
MUST_USE int checkpoint_read(int dir, int64_t *stamp_r);

/*
 * Makes all changes up to `wanted` durable, unless somebody did meanwhile: syncs the file
 * system of the queue and writes the time down. 0, or -errno. When the file system could
 * not be synced, some acknowledged message may now exist in a segment only: that is noted
 * for good, and no checkpoint is made any more until recovery has run. `dir` should have
 * been open for as long as this process writes to the queue: of what failed before it was
 * opened the kernel says nothing.
 */
MUST_USE int checkpoint_make(int dir, int64_t wanted);

/* For recovery, when everything is durable as files: from now on no record counts, which
 * takes one write, so that a crash cannot forget notes and keep what they are about. */
MUST_USE int checkpoint_cover_all(int dir);
/* For recovery, when all segments have been invalidated: back to the beginning. */
MUST_USE int checkpoint_reset(int dir);

#endif
