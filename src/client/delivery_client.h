/* qmgr's side of a delivery: one request to an agent, its outcome. */
#ifndef CLIENT_DELIVERY_CLIENT_H
#define CLIENT_DELIVERY_CLIENT_H

#include "ipc/ipc.h"
#include "message/delivery.h"

struct delivery_outcome {
	bool left, bounced;
	char hop_status[11];
	char hop_text[1024];
};

/* Waits for the agent as long as it takes (deadline: daemon_timeout). -errno: recipients
 * are as the file says. -EMSGSIZE: the request does not fit into a frame; -ETIMEDOUT,
 * -EBADMSG: no answer, or no answer that makes sense; others: the agent cannot be reached
 * or died. */
MUST_USE int delivery_client_run(struct ipc_client *agent,
    const struct delivery_request *r, int64_t deadline,
    struct delivery_outcome *outcome_r);

#endif
