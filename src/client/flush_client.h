/* flush for callers: delivery agents note what they deferred, commands ask for delivery.
 */
#ifndef CLIENT_FLUSH_CLIENT_H
#define CLIENT_FLUSH_CLIENT_H

#include "ipc/ipc.h"
#include "message/flush.h"

/* Notes that message `id` waits for `site` (next hop without [] and :port). Never waits,
 * and may be lost: a note only makes a later flush_client_site complete. */
void flush_client_note(struct ipc_client *ipc, struct str site, struct str id);

/* From a fiber, with a deadline; -errno: the service did not answer. */
MUST_USE int flush_client_site(struct ipc_client *ipc, struct str site, int64_t deadline,
    enum flush_status *status_r);
MUST_USE int flush_client_message(
    struct ipc_client *ipc, struct str id, int64_t deadline, enum flush_status *status_r);

#endif
