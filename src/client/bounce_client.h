/* bounce, defer and trace for callers. Each call waits until the service has synced. */
#ifndef CLIENT_BOUNCE_CLIENT_H
#define CLIENT_BOUNCE_CLIENT_H

#include "ipc/ipc.h"
#include "message/bounce.h"

/* 0; -errno: nothing is known, the recipient must stay. `ipc` names the service: bounce,
 * defer or trace, and has the time limit. */
MUST_USE int bounce_client_append(
    struct ipc_client *ipc, const struct bounce_append *entries);
MUST_USE int bounce_client_send(
    struct ipc_client *ipc, const struct bounce_send *request);
MUST_USE int bounce_client_one(struct ipc_client *ipc, const struct bounce_one *request);

#endif
