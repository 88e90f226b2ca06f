/*
 * Delivery into a user's mailbox, for local and virtual: a maildir when its name ends in
 * '/', else a file in mbox format (RFC 4155 as Postfix has it: a From_ line with the
 * sender and ctime's local time, the agent's fields, the message with '>' before "From ",
 * an empty line).
 *
 * A mailbox file is a regular file with one name and, with strict ownership, the
 * recipient's. Links, fifos, devices and directories are refused, and links are never
 * followed. The lock, and the file when there is none, are made by whoever may: the
 * recipient; or, in a spool directory that users cannot write to, root (the file is given
 * to the recipient at once). The file is opened and written, and the message is read,
 * with the recipient's rights alone. When something fails (full disk, quota, mailbox
 * size) the file is cut back to its old size. On success the bytes, and the name when it
 * is new, are on stable storage.
 */
#ifndef DELIVER_MAILBOX_H
#define DELIVER_MAILBOX_H

#include "deliver/as_user.h"
#include "deliver/delivery.h"
#include "deliver/mailbox_lock.h"
#include "deliver/user_file.h"

struct mailbox_target {
	const char *path;
	/* For messages: "cannot update mailbox PATH for user USER"; NULL: without a user,
	 * "delivery failed to mailbox PATH", as virtual says, and then what would
	 * be 5.2.0 is 4.2.0. */
	const char *user;
	/* A file that somebody named (aliases): "cannot append message to file PATH"; a
	 * device may be one; where no lock file can be made there is none. */
	bool file;
	struct as_user owner; /* whose rights the message is written with */
	/* The directory is shared (mail_spool_directory): when not all the world may
	 * write to it, file and lock are made by root, with the directory's group where
	 * that may write. */
	bool spool;
	const char *hostname; /* for names in a maildir */
	unsigned copy_flags;  /* enum message_copy_flags */
	int64_t limit; /* bytes of the whole file, or of one maildir message; 0: none */
	struct mailbox_lock_rules locks;
	bool strict_ownership;
	int biff;        /* of biff_open, for files; 0 or less: nobody is told */
	int64_t seconds; /* for the whole delivery */
	/* NULL: none. Where one of these is there, it is told (mailbox_job.found), and
	 * nothing is delivered. */
	const struct user_files *first;
};

struct mailbox_job {
	size_t recipient;
	struct mailbox_target target; /* its strings outlive the call */
	struct why why;               /* why_init by the caller, who frees it too */
	struct buf *found;            /* with target.first: for user_file_take */
};

/*
 * One message into the mailboxes of some recipients. Maildirs of one owner are written in
 * one go and share their syncs. For a probe (DELIVERY_VERIFY) nothing is done. `why` is
 * set where it failed: 4.2.0 lock held, wrong owner, mailbox changed meanwhile; 5.2.0 not
 * a regular file, no permission, no directory; 5.2.2 over the limit; 4.2.2 quota; 4.3.1
 * disk full.
 */
void mailbox_deliver(struct delivery *d, struct mailbox_job *jobs, size_t count);

/* NULL, or what is wrong with a limit of mailboxes beside message_size_limit (bytes, 0:
 * none): it must not be the smaller one. */
const char *mailbox_limit_fault(int64_t limit, int64_t message_limit);

/* What the log shows: "delivered to mailbox", "delivers to maildir" (for a probe). */
const char *mailbox_text(const struct delivery *d, const struct mailbox_target *target);

#endif
