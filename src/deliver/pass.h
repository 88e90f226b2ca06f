/*
 * Another agent takes a recipient the rest of its way (mailbox_transport,
 * fallback_transport, best_mx_transport). It tells the log and, but for a part of a
 * divided recipient, marks by itself.
 */
#ifndef DELIVER_PASS_H
#define DELIVER_PASS_H

#include "deliver/delivery.h"

/* `target`: "transport" or "transport:nexthop"; without a next hop it is the request's
 * own. Waits until that agent is done: the recipient is then DELIVERY_PASSED, or
 * deferred, because the agent cannot be reached, the target is no name of one, or it was
 * passed on four times before. */
void delivery_pass(struct delivery *d, size_t index, struct str target,
    const struct common_params *common);

#endif
