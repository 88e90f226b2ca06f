/* The scribe itself (deliver/scribe.h): what runs in the child. */
#ifndef DELIVER_SCRIBE_CHILD_H
#define DELIVER_SCRIBE_CHILD_H

#define SCRIBE_CHILD_FD 3

/*
 * For child_plan.function; descriptor 3 is the socket to the agent. Takes the errands
 * that are there (deliver/scribe_errand.h) until they are MAILDIR_GROUP maildirs or
 * MAILDIR_GROUP_BYTES, delivers them in one go and reports each. Those that come
 * meanwhile are the next go, so that a sync serves all who would have waited for it.
 * Returns when the agent is gone (0) or sends what is no errand (1).
 */
int scribe_child(void *unused);

#endif
