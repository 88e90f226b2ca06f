/*
 * Recovery (doc/commit.md): after a crash, brings back from the segments what the file
 * system lost. Runs before any daemon, as the owner of the queue, in queue_directory,
 * alone (the caller has locked commit/lock). May be interrupted and run again.
 */
#ifndef QUEUE_RECOVER_H
#define QUEUE_RECOVER_H

#include <stdint.h>
#include "base/buf.h"

struct recover_report {
	unsigned segments; /* with records */
	uint64_t messages; /* recorded and not over */
	uint64_t complete; /* of these, found whole in a queue */
	uint64_t restored; /* written again */
	uint64_t removed;  /* files of messages that were over */
};

/* 0, also when there is nothing to do. -errno: nothing was given up, try again; `error`
 * says what, in the words of the log. */
MUST_USE int recover_run(struct recover_report *report_r, struct buf *error);

/* A clean stop: all is made durable, then the segments are removed, so that only plain
 * queue files are left. */
MUST_USE int recover_finish(struct buf *error);

#endif
