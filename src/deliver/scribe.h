/*
 * The scribe: a child that stays and writes into the maildirs of one user, because a fork
 * costs more than a delivery. virtual's mailboxes mostly have one owner; of an agent
 * whose recipients have each their own, every delivery is for another user, and none is
 * started. Deliveries that are under way at the same time share its syncs
 * (deliver/scribe_child.h).
 *
 * It has the user's ids for good and no descriptor but the socket to its agent and,
 * during an errand, queue files. The agent takes its reports for gossip. It ends with
 * its agent, or, its work done, when another user's turn comes.
 */
#ifndef DELIVER_SCRIBE_H
#define DELIVER_SCRIBE_H

#include "deliver/as_user.h"
#include "deliver/maildir.h"
#include "deliver/user_file.h"

struct scribe_jobs {
	const struct maildir_job *jobs; /* they differ in recipient and directory only */
	struct why *whys;
	size_t count;
	const struct user_files *first; /* as in deliver/mailbox.h; NULL: none */
	struct buf *found;
};

/*
 * maildir_deliver with the rights of `user`, in a fiber. False: nothing was done, as
 * there is no scribe for this user (the delivery before was for another one), or it
 * cannot take so long a list. Otherwise `whys` tell, also when it died or took more than
 * `seconds`: then it is ended, and what it does for other deliveries has failed, too.
 */
MUST_USE bool scribe_deliver(const struct as_user *user, struct delivery *d,
    const struct scribe_jobs *jobs, int64_t seconds);

#endif
