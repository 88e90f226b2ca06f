/*
 * What came of the errands of a child process, as it tells its parent: for each outcome
 * "" or "status text", and a NUL. The child has the rights of a user, so the parent takes
 * it for gossip: what is not understood is a failure "later".
 */
#ifndef DELIVER_ERRAND_REPORT_H
#define DELIVER_ERRAND_REPORT_H

#include "mail/why.h"

#define ERRAND_REPORT_MAX 60000 /* fits into one packet of a socket */

/* Texts are cut when all of them together would not fit. */
void errand_report_write(struct buf *out, const struct why *whys, size_t count);
/* What stands behind the outcomes. */
struct str errand_report_read(struct str report, struct why *whys, size_t count);

#endif
