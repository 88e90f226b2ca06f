/*
 * Notes that messages are over (doc/commit.md): written to a segment of its own within a
 * second, so that recovery does not bring back what was delivered or deleted. A crash may
 * lose the last second's notes: then those messages may be delivered again, never lost.
 */
#ifndef QUEUE_COMMIT_NOTES_H
#define QUEUE_COMMIT_NOTES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include "base/str.h"

struct commit_notes;

/* Only with the log engine; -errno: the directory commit cannot be opened. */
MUST_USE int commit_notes_open(int64_t segment_size, struct commit_notes **n_r);
void commit_notes_close(struct commit_notes *n); /* not while busy */
/* `n` may be NULL (no log engine): nothing is noted. The queue file has just been
 * removed. Never waits. */
void commit_notes_removed(struct commit_notes *n, struct str id, struct timeval arrival);
bool commit_notes_busy(const struct commit_notes *n);

#endif
