/*
 * The three locks of a mailbox file, so that mail readers and delivery agents do not
 * write over each other: a file NAME.lock beside it (dotlock), fcntl(2) and flock(2) on
 * the file itself. For local, virtual and postlock. Which of them are used is up to the
 * site (mailbox_delivery_lock, virtual_mailbox_lock) and must be what its mail readers
 * use.
 *
 * Order: the dotlock is taken first, by whoever may write to the directory; then the file
 * is opened; then it is locked in the process that writes (an fcntl lock belongs to a
 * process). Calls block, with naps between attempts: only for processes that carry one
 * client, and their children. Nobody's lock is waited for longer than attempts * delay.
 */
#ifndef DELIVER_MAILBOX_LOCK_H
#define DELIVER_MAILBOX_LOCK_H

#include <stdint.h>
#include "mail/why.h"

enum mailbox_lock_style {
	MAILBOX_LOCK_FLOCK = 1,
	MAILBOX_LOCK_FCNTL = 2,
	MAILBOX_LOCK_DOTLOCK = 4,
};

struct mailbox_lock_rules {
	unsigned styles;  /* enum mailbox_lock_style */
	int64_t attempts; /* deliver_lock_attempts, at least 1 */
	int64_t delay;    /* deliver_lock_delay, seconds between attempts */
	int64_t stale; /* stale_lock_time: a dotlock this many seconds old is left over */
};

/* "fcntl, dotlock" into bits. False: an unknown word, or none. */
MUST_USE bool mailbox_lock_parse(struct str list, unsigned *styles_r);

/*
 * Makes PATH.lock, mode 0444, holding our process id. No link is followed: a name that
 * exists, whatever it is, counts as somebody's lock, and when it is stale the name alone
 * is removed. Without MAILBOX_LOCK_DOTLOCK nothing is done. False: `why` says "unable to
 * create lock file PATH.lock: ...", 4.2.0 when it is held, 5.2.0 when it may not be made.
 */
MUST_USE bool mailbox_lock_name(
    const char *path, const struct mailbox_lock_rules *rules, struct why *why);
/* Removes PATH.lock, which mailbox_lock_name made. 0 or -errno. */
MUST_USE int mailbox_unlock_name(
    const char *path, const struct mailbox_lock_rules *rules);

/* Locks an open file (writable) as `styles` says; closing it, or the end of the process,
 * unlocks. False: 4.2.0 "unable to lock for exclusive access: ...". */
MUST_USE bool mailbox_lock_file(
    int fd, const struct mailbox_lock_rules *rules, struct why *why);

#endif
