/* Delivery into a maildir: tmp, sync, new; missing directories are made. */
#ifndef DELIVER_MAILDIR_H
#define DELIVER_MAILDIR_H

#include "deliver/message_copy.h"

/*
 * `directory` ends in '/'. With set_ids the file is made with these effective ids (root is
 * effective again afterwards). Name: time.V<device>I<inode>M<usec>.<host>. File and name are durable on
 * return. False: `why` (full, quota: 4.2.2 or 5.2.2; others 4.2.0, 5.2.0 as Postfix has them).
 */
struct maildir_user {
	uid_t uid;
	gid_t gid;
	bool set_ids;
};
MUST_USE bool maildir_deliver(struct delivery *d, size_t recipient, const char *directory,
    unsigned copy_flags, struct maildir_user user, int64_t limit, struct why *why);

#endif
