/*
 * A segment: a file of fixed size, zero-filled when it is made, that one process at a
 * time appends records to (doc/commit.md). What was written and synced here survives any
 * crash; whoever recovers reads it back. Segments lie in the directory commit of the
 * queue and are used again: each use has a generation of its own, so that old bytes are
 * never taken for new ones.
 *
 * All calls block; they run on worker threads, do not log and touch only their segment.
 */
#ifndef QUEUE_COMMIT_SEGMENT_H
#define QUEUE_COMMIT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include "base/buf.h"

#define SEGMENT_DIRECTORY  "commit"
#define SEGMENT_BLOCK      4096 /* a batch starts at a multiple of this */
#define SEGMENT_SIZE_MIN   ((int64_t)256 * 1024)
#define SEGMENT_SIZE_MAX   ((int64_t)1 << 30)
#define SEGMENTS_MAX       1000
#define SEGMENT_RECORD_MAX ((size_t)512 * 1024) /* of one record; commit.h gives less */

enum segment_kind {
	SEGMENT_MESSAGE = 1, /* the bytes of a queue file */
	SEGMENT_HELD = 2,    /* the same, and the file lies in hold */
	SEGMENT_REMOVED = 3, /* no bytes: that message is over */
};

/* `stamp`: segment_now() after the file was changed, so that all changes with a stamp
 * before a checkpoint are in it. Id and arrival together name a message for ever. */
struct segment_record {
	enum segment_kind kind;
	int64_t stamp;
	struct str id;
	struct timeval arrival;
	uint64_t place; /* where a message without a name lies (commit_slots.h), or 0 */
	struct str bytes;
};

/* Monotonic nanoseconds, the same for all processes until the machine starts again. */
int64_t segment_now(void);

struct segment;

/*
 * A segment that no living process holds, made when there is none, locked and empty.
 * What a dead process or an earlier use left in it is made durable as files first
 * (checkpoint); one with messages that have no name yet is passed by. `dir` is the
 * directory commit. 0; -ENOSPC and other -errno: there is none to be had now.
 */
MUST_USE int segment_take(int dir, int64_t size, struct segment **s_r);
/* Unlocks and closes; the records stay. NULL is fine. */
void segment_close(struct segment *s);
int64_t segment_last_stamp(const struct segment *s); /* of its records; 0: none */
/* Empties one that is ours for the next use: makes its messages durable as files. -EIO
 * after a failed append: that was done, but the segment can only be closed. */
MUST_USE int segment_renew(struct segment *s);

/* Bytes that a record takes, at most, and that are left for a batch. */
size_t segment_cost(const struct segment_record *r);
size_t segment_room(const struct segment *s);
/* Appends the records in one write and syncs once. After 0 they are safe. -errno: they
 * may or may not come back after a crash; the segment takes nothing more. */
MUST_USE int segment_append(
    struct segment *s, const struct segment_record *records, size_t count);

/*
 * Calls `each` for every record of the current generation, in order; it returns 0, or
 * -errno to stop. 0; -errno of reading, or what `each` gave. A file that never was a
 * segment, or was not finished, has no records.
 */
MUST_USE int segment_read(
    int fd, int (*each)(void *context, const struct segment_record *r), void *context);
/* Calls `each` for every message without a name: in segments that no living process has,
 * or in all, `in_use` (then more may come and go meanwhile). 0 or -errno, of opening or
 * reading; all others were told then. */
MUST_USE int segment_unnamed(int dir, bool in_use,
    void (*each)(void *context, const struct segment_record *r), void *context);
/* From now on its records are not read any more. The caller holds the lock. */
MUST_USE int segment_invalidate(int fd);
/* Calls `each` with every segment file of the directory, open, in any state, not locked;
 * it returns 0, or -errno to stop. 0, -errno of opening (`name_r`: of which, when not
 * NULL), or what `each` gave. */
#define SEGMENT_NAME_MAX 16
MUST_USE int segment_each(int dir, int (*each)(void *context, int fd), void *context,
    char name_r[SEGMENT_NAME_MAX]);
/* After a clean stop: none is in use, none has records that count. */
MUST_USE int segment_remove_all(int dir);

#endif
