/*
 * Durable acceptance (doc/commit.md): after commit_finish returned true the message
 * survives any crash or power cut. One interface, two engines: `file` (each message
 * synced by itself) and `log` (one sync for all that are ready). Callers cannot tell them
 * apart; the log engine gives large messages, and all when it has no segment, to `file`.
 *
 *	slot = commit_reserve(...)           the queue id exists from here on
 *	commit_add(slot, bytes) ...          any number of times, or, without a copy,
 *	record_write(commit_bytes(slot), ...), commit_relieve(slot)
 *	commit_patch(slot, 0, size record)
 *	commit_finish(slot, arrival, hold, &m, &why)   true: safe, answer 250, tell qmgr
 *	or commit_cancel(slot)
 *
 * With the log engine a slot is a file that needs no name (commit_slots.h); else, or when
 * there is none, a file of the pool (commit_pool.h; for maildrop one there, whose name is
 * no queue id), flocked by this process, that gets its name in the queue when it is
 * complete. Called from fibers: syncs run on the disk pool while the fiber sleeps;
 * outside a fiber (postdrop) they run at once. commit_reserve does not wait. Trouble is
 * sticky: after it all calls on the slot say the same. Bytes up to COMMIT_MEMORY are held
 * in memory and written once. A failure undoes: the file is gone, `why` says path and
 * trouble (4.3.0), the space needed when the disk is full.
 */
#ifndef QUEUE_COMMIT_H
#define QUEUE_COMMIT_H

#include <stdbool.h>
#include "mail/why.h"
#include "queue/commit_slots.h"
#include "queue/queue_id.h"

#define COMMIT_MEMORY (256 * 1024)
/* Held shared by every daemon, exclusively by recovery; relative to the queue. */
#define COMMIT_LOCK "commit/lock"

struct commit;
struct commit_slot;

enum commit_engine { COMMIT_FILE, COMMIT_LOG };
/* Of the parameter commit_engine; false: it is neither. */
MUST_USE bool commit_engine_parse(const char *name, enum commit_engine *engine_r);
enum commit_kind {
	COMMIT_INCOMING, /* cleanup: mode 0700 */
	COMMIT_MAILDROP, /* postdrop: mode 0744; syncfs where the name is not ordered */
};

struct commit_options {
	enum commit_engine engine; /* COMMIT_LOG counts for COMMIT_INCOMING only */
	enum commit_kind kind;
	bool long_ids;
	int64_t segment_size; /* bytes, of the log engine */
};

/* The working directory is queue_directory. 0, or -errno: a directory cannot be opened.
 */
MUST_USE int commit_open(const struct commit_options *o, struct commit **c_r);
/* In a program with a loop, once: so that the first messages find the log ready. */
void commit_prepare(struct commit *c);
void commit_close(struct commit *c); /* nothing may be under way */
/* The process is about to end, no slot is in use: true when the engine has come to rest,
 * else to be asked again soon. Messages that qmgr does not settle in some seconds,
 * because it is gone perhaps, are left in the log as after a crash: the next qmgr, or
 * recovery, gives them names. */
MUST_USE bool commit_retire(struct commit *c);
/* Why the log engine has no segment (messages are synced one by one), once; or 0. */
int commit_trouble(struct commit *c);

/* When more is accepted than goes out: waits some milliseconds, from a fiber, for the
 * place of a message that is over. To give names to all that waits would take more from
 * those who bring it out than the wait costs. */
void commit_await_room(struct commit *c);
/* 0 or -errno. */
MUST_USE int commit_reserve(struct commit *c, struct commit_slot **slot_r);
/* Takes over an id that another process reserved and left. -EEXIST: a message has it;
 * -EINVAL: no queue id. When two finish a message of one id, the second fails. */
MUST_USE int commit_adopt(struct commit *c, struct str id, struct commit_slot **slot_r);
const char *commit_id(const struct commit_slot *slot);
struct timeval commit_time(const struct commit_slot *slot); /* when it was reserved */
MUST_USE bool commit_add(struct commit_slot *slot, struct str bytes, struct why *why);
/* The bytes of the message that are not in its file yet, to be added to: COMMIT_ROOM at
 * most. Valid until the slot is consumed. */
#define COMMIT_ROOM (4 * COMMIT_MEMORY)
struct buf *commit_bytes(struct commit_slot *slot);
int64_t commit_written(
    const struct commit_slot *slot); /* bytes in the file before them */
/* To be called when they have become more: what passes COMMIT_MEMORY is written. */
MUST_USE bool commit_relieve(struct commit_slot *slot, struct why *why);
MUST_USE bool commit_patch(
    struct commit_slot *slot, size_t offset, struct str bytes, struct why *why);
/* `arrival` is what the time record of the file says: id and arrival name the message.
 * `hold` puts the finished file into the hold queue. Consumes the slot either way. What
 * `message_r` (may be NULL) says is for qmgr: a message without a name is found by it
 * only. */
MUST_USE bool commit_finish(struct commit_slot *slot, struct timeval arrival, bool hold,
    struct commit_message *message_r, struct why *why);
void commit_cancel(struct commit_slot *slot); /* removes the file; NULL is fine */

/* Messages without a name that qmgr has not settled yet: to be looked at every
 * COMMIT_LATE_MS while there are any. Those that are late are to be announced again. */
#define COMMIT_LATE_MS 100
bool commit_waits(const struct commit *c);
void commit_late(struct commit *c,
    void (*each)(void *context, const struct commit_message *m), void *context);

/* Makes all that is in the queues durable as it is now, so that recovery brings back
 * nothing that was recorded before. Without the log engine there is nothing to do.
 * Blocks, for as long as the disk needs. 0 or -errno. */
MUST_USE int commit_settle(void);

/* Makes a change that already is in a file durable (mailbox, bounce log): fsync on the
 * disk pool, calls for several files under way at once. 0 or -errno. */
MUST_USE int commit_sync_fd(int fd);
/* Makes names in a directory durable unless the file system orders them by itself. */
MUST_USE int commit_sync_name(int fd_of_file, const char *directory);

#endif
