/*
 * Durable acceptance (doc/commit.md): after commit_finish returned true the message
 * survives any crash or power cut. One interface, two engines: `file` (each message
 *synced by itself) and `log` (group commit; its own issue). Callers cannot tell them
 *apart.
 *
 *	slot = commit_reserve(...)           the queue id exists from here on
 *	commit_add(slot, bytes) ...          any number of times
 *	commit_patch(slot, 0, size record)
 *	commit_finish(slot, arrival, &why)   true: safe, answer 250, tell qmgr
 *	or commit_cancel(slot)
 *
 * A slot is an empty file in `incoming`, mode 0600, flocked by this process. Called from
 *fibers: writes and syncs run on the disk pool while the fiber sleeps; outside a fiber
 *(postdrop) they run at once. commit_reserve does not wait. Trouble is sticky: after it
 *all calls on the slot say the same. Bytes up to WIRE_SMALL_MESSAGE-like COMMIT_MEMORY
 *are held in memory and written once. A failure undoes: the file is gone, `why` says path
 *and trouble (4.3.0), the space needed when the disk is full.
 */
#ifndef QUEUE_COMMIT_H
#define QUEUE_COMMIT_H

#include <stdbool.h>
#include "mail/why.h"
#include "queue/queue_id.h"

#define COMMIT_MEMORY (256 * 1024)

struct commit;
struct commit_slot;

enum commit_engine { COMMIT_FILE, COMMIT_LOG };
enum commit_kind {
	COMMIT_INCOMING, /* cleanup: mode ends 0700 */
	COMMIT_MAILDROP, /* postdrop: mode 0644 -> 0744; syncfs where the name is not
			    ordered */
};

/* The working directory is queue_directory. 0, -ENOTSUP for an engine that is not built,
 * or -errno: the directory cannot be opened. */
MUST_USE int commit_open(
    enum commit_engine engine, enum commit_kind kind, bool long_ids, struct commit **c_r);
void commit_close(struct commit *c);

/* 0 or -errno. */
MUST_USE int commit_reserve(struct commit *c, struct commit_slot **slot_r);
/* Takes over an id that another process reserved and left: its empty file, or, when that
 * is gone, a new one of exactly this name. -EWOULDBLOCK: its holder lives; -EEXIST: what
 * lies there is no reservation (not empty, not ours, another mode); -EINVAL: no queue id.
 * Does not wait. */
MUST_USE int commit_adopt(struct commit *c, struct str id, struct commit_slot **slot_r);
const char *commit_id(const struct commit_slot *slot);
struct timeval commit_time(const struct commit_slot *slot); /* when it was reserved */
MUST_USE bool commit_add(struct commit_slot *slot, struct str bytes, struct why *why);
MUST_USE bool commit_patch(
    struct commit_slot *slot, size_t offset, struct str bytes, struct why *why);
/* `hold` puts the finished file into the hold queue. Consumes the slot either way. */
MUST_USE bool commit_finish(struct commit_slot *slot, bool hold, struct why *why);
void commit_cancel(struct commit_slot *slot); /* removes the file; NULL is fine */

/* Makes a change that already is in a file durable (mailbox, bounce log): fsync on the
 * disk pool, calls for several files under way at once. 0 or -errno. */
MUST_USE int commit_sync_fd(int fd);
/* Makes names in a directory durable unless the file system orders them by itself. */
MUST_USE int commit_sync_name(int fd_of_file, const char *directory);

#endif
