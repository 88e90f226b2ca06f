/* verify for callers: smtpd asks about an address, a delivery agent tells what became of
 * a probe. */
#ifndef CLIENT_VERIFY_CLIENT_H
#define CLIENT_VERIFY_CLIENT_H

#include "ipc/ipc.h"
#include "message/verify.h"

/* 0: `status_r` is what is known by now, `text` (which was empty) the words for it.
 * -errno: the service did not answer. */
MUST_USE int verify_client_query(struct ipc_client *ipc, struct str address,
    int64_t deadline, enum verify_status *status_r, struct buf *text);
MUST_USE int verify_client_update(
    struct ipc_client *ipc, const struct verify_update *update, int64_t deadline);

#endif
