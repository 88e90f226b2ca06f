/* What commit.c (the life of a slot) and commit_reserve.c (how it gets its id) share. */
#ifndef QUEUE_COMMIT_PRIVATE_H
#define QUEUE_COMMIT_PRIVATE_H

#include <sys/stat.h>
#include "queue/commit.h"
#include "queue/commit_group.h"
#include "queue/commit_pool.h"
#include "queue/commit_slots.h"
#include "queue/queue_dir.h"

struct commit {
	const char *queue;
	int dir; /* kept open, for the name operations; maildrop may not be readable */
	mode_t mode;
	bool long_ids;
	bool ordered;             /* a name is durable with its file */
	struct commit_pool *pool; /* NULL for maildrop: files are born there */
	unsigned counter;         /* of temporary names */
	int log_dir;              /* commit, -1 without log engine */
	struct commit_group *group;
	struct commit_slots *slots; /* NULL: every message gets a name at once */
	int64_t leave_at;           /* monotonic ms: when it ends, settled or not; or 0 */
	bool leaves;
};

struct commit_slot {
	const struct commit *owner;
	int fd;
	struct slot_file *file; /* has the descriptor; NULL: the file is no slot */
	char id[QUEUE_ID_MAX];
	struct timeval when;
	struct buf bytes;          /* not written yet */
	off_t written;             /* bytes in the file before them */
	char path[QUEUE_PATH_MAX]; /* where the file lies now */
	mode_t mode;
	bool hold;

	/* The job under way: bytes that go to `offset`, outside `bytes`. */
	struct str piece;
	off_t piece_offset;

	/* The first trouble; sticky. */
	int error;
	const char *action;
};

#endif
