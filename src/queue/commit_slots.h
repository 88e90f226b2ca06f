/*
 * Files for mail that needs no name (doc/commit.md): most new mail is over within
 * milliseconds, and to give each message a name in incoming and take it away again costs
 * more than its delivery. So a process that accepts mail has files of its own, the slots
 * in commit/slots/<directory>; the directory is the process's by its lock. What lies in
 * one belongs to the commit log: its record says in which, and recovery gives it a name.
 *
 * A message that was accepted waits here until it is settled: qmgr delivered it and said
 * so in its first byte, which makes the slot free, or gave the file a name in a queue,
 * which takes it away. Only qmgr settles. Until then its announcement may be repeated at
 * will: qmgr believes the file, and passes by one in which there is another message. A
 * segment of the log is used again only when all of its messages are settled.
 *
 * The next message is written over the one before: to cut its bytes off and to get new
 * blocks cost more than the rest of a removal.
 *
 * The writer holds the lock (flock) of a slot from taking it until its message is safe;
 * whoever delivers holds it shared, so no slot is used again under his hands.
 *
 * All calls are short and do not wait. The working directory is queue_directory.
 */
#ifndef QUEUE_COMMIT_SLOTS_H
#define QUEUE_COMMIT_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include "base/list.h"
#include "queue/queue_dir.h"

#define COMMIT_SLOTS "commit/slots"

/* One message without a name, wherever it is spoken of. */
struct commit_message {
	char id[QUEUE_ID_MAX];
	struct timeval arrival;
	uint64_t place; /* queue_place_path gives its path; 0: it has a name */
};

struct commit_slots;
struct slot_file {
	struct list_link link;
	int fd;     /* stays open */
	off_t size; /* of the file: bytes of an earlier message, or none */
	struct commit_message message;
	uint64_t inode;
	int64_t stamp; /* of its record, set before that is written; 0: none yet */
	int64_t since; /* monotonic ms: accepted */
	int64_t asked; /* monotonic ms: when it was called late last, or 0 */
};

/* Takes a directory that nobody has. 0 or -errno; -EOPNOTSUPP: where the file system does
 * not keep the order of names and sizes there are no slots. */
MUST_USE int commit_slots_open(struct commit_slots **s_r);
/* NULL is fine. What waits stays where it is. */
void commit_slots_close(struct commit_slots *s);
/* There will be none any more; the free files are left to whoever takes the directory
 * next. */
void commit_slots_retire(struct commit_slots *s);

/* There are as many as there may be, and each has a message that is not settled: more
 * comes in than goes out. */
bool commit_slots_crowded(struct commit_slots *s);
/* A free slot, locked, mode 0700, whatever bytes are in it; or NULL: none is to be had.
 */
struct slot_file *commit_slots_take(struct commit_slots *s);
/* So many bytes of its message are there now; cuts off what else was. 0 or -errno. */
MUST_USE int commit_slots_written(struct slot_file *f, off_t size);
/* Its message is safe, by the record with its stamp: it waits for qmgr from now on. */
void commit_slots_accepted(
    struct commit_slots *s, struct slot_file *f, struct timeval arrival);
/* Nothing came of it, and nothing was written. */
void commit_slots_give_back(struct commit_slots *s, struct slot_file *f);
/* The file got a name, or was removed: it is no slot any more. Closes it. */
void commit_slots_forget(struct commit_slots *s, struct slot_file *f);

bool commit_slots_waiting(const struct commit_slots *s); /* something waits */
/* Is any message with a stamp up to this one not settled? Those are called late now. */
MUST_USE bool commit_slots_owe(struct commit_slots *s, int64_t stamp);
/* Calls `each` for what waits longer than a second, once a second. */
void commit_slots_late(struct commit_slots *s,
    void (*each)(void *context, const struct commit_message *m), void *context);

/* --- for qmgr, who settles, for recovery and for listings --- */

bool commit_slots_used(void); /* something lies in one */

/* Does this very message lie there? 1, 0, or -errno: nobody can say. */
MUST_USE int commit_message_lies(const struct commit_message *m);
/* It is over: its first byte says so from now on, or it is cut off when it is large. 0 or
 * -errno; -ENOENT: it does not lie there. */
MUST_USE int commit_message_end(uint64_t place, struct str id);
/* The same for whoever has it open for writing since he saw it there: its descriptor, and
 * its size in bytes. */
MUST_USE int commit_message_end_open(int fd, off_t size);
/* While nobody uses them: deletes all. 0 or -errno; no directory: 0. */
MUST_USE int commit_slots_empty(void);

#endif
