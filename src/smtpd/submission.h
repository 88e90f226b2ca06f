/*
 * Where smtpd's message goes: to cleanup; or, when smtpd stands alone (sendmail -bs), as
 * its caller's mail to postdrop, which works while the mail system is down. The order of
 * calls and their results are those of cleanup_client.h.
 */
#ifndef SMTPD_SUBMISSION_H
#define SMTPD_SUBMISSION_H

#include "client/cleanup_client.h"

struct submission;

struct submission *submission_new(int *error_r); /* NULL: -errno */
const char *submission_id(const struct submission *m);
MUST_USE int submission_begin(struct submission *m, struct cleanup_submit *envelope);
MUST_USE int submission_add(struct submission *m, struct str text);
/* Nothing when standing alone: there are no access tables. */
MUST_USE int submission_late(struct submission *m, const struct cleanup_late *late);
MUST_USE int submission_finish(struct submission *m, struct cleanup_result *r);
void submission_free(struct submission *m); /* not finished: cancelled; NULL is fine */

#endif
