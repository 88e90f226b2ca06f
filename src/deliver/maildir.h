/*
 * Delivery into a maildir (cr.yp.to/proto/maildir.html): tmp, sync, new. Where kernel and
 * file system can (O_TMPFILE, and /proc), a message is written without a name and gets
 * its only one in new: two directories change less, and a crash leaves nothing in tmp.
 */
#ifndef DELIVER_MAILDIR_H
#define DELIVER_MAILDIR_H

#include "deliver/message_copy.h"

/* What is written in one go: what a crash may deliver twice stays bounded. */
#define MAILDIR_GROUP       50
#define MAILDIR_GROUP_BYTES (16 * 1024 * 1024)

struct maildir_target {
	const char *directory;
	const char *hostname;
	unsigned copy_flags;
	int64_t limit; /* bytes, 0 = none */
};

struct maildir_job {
	struct delivery *delivery; /* its message */
	size_t recipient;
	struct maildir_target target;
};

/*
 * Messages into `count` maildirs of one owner, with whose rights this runs
 * (deliver/as_user.h); they share their syncs. `directory` ends in '/'; it and cur, new,
 * tmp are made when missing (0700). File name: time.V<device>I<inode>M<microseconds>.
 * <host>. The files, 0600, and their names are on stable storage, but for those whose
 * `whys` are set, in the words of postfix: "maildir delivery failed: ..." 4.2.0 or 5.2.0,
 * 5.2.2 over the limit, 4.3.1 without space.
 */
void maildir_deliver(const struct maildir_job *jobs, struct why *whys, size_t count);

#endif
