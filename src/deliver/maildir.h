/* Delivery into a maildir (cr.yp.to/proto/maildir.html): tmp, sync, new. */
#ifndef DELIVER_MAILDIR_H
#define DELIVER_MAILDIR_H

#include "deliver/message_copy.h"

/*
 * Runs with the rights of the mailbox's owner (deliver/as_user.h). `directory` ends in
 * '/'; it and cur, new, tmp are made when missing (0700). File name:
 * time.V<device>I<inode>M<microseconds>.<host>. On success the file, 0600, and its name
 * are on stable storage. False: `why`, in the words of postfix: "maildir delivery failed:
 * ..." 4.2.0 or 5.2.0, 5.2.2 over the limit, 4.3.1 without space.
 */
struct maildir_target {
	const char *directory;
	const char *hostname;
	unsigned copy_flags;
	int64_t limit; /* bytes, 0 = none */
};
MUST_USE bool maildir_deliver(struct delivery *d, size_t recipient,
    const struct maildir_target *target, struct why *why);

#endif
