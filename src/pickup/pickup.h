/*
 * pickup's parts:
 *
 *	pickup.c    main: who wakes us, walking through maildrop
 *	message.c   one file: read, handed to cleanup, removed
 */
#ifndef PICKUP_PICKUP_H
#define PICKUP_PICKUP_H

#include "client/cleanup_client.h"
#include "pickup_params.h"
#include "queue/queue_id.h"

struct pickup_state {
	struct pickup_params params;
	struct cleanup_client *cleanup;
	uid_t mail_owner;
	uint32_t cleanup_flags; /* of every message */
};
extern struct pickup_state pickup;

/* From a fiber. A file that is good is handed over and removed, one that is not goes to
 * `corrupt`, one that is not ready yet or meets trouble stays. False: cleanup cannot be
 * reached, there is no point in trying the next. */
MUST_USE bool message_take(struct str id);

#endif
