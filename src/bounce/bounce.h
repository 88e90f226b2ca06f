/* What the files of bounce share: the service's state and its two halves. */
#ifndef BOUNCE_BOUNCE_H
#define BOUNCE_BOUNCE_H

#include "bounce_params.h"
#include "client/cleanup_client.h"
#include "mail/why.h"
#include "message/bounce.h"
#include "service/service.h"

struct bounce_state {
	struct bounce_params params;
	struct cleanup_client *cleanup;
	uid_t queue_owner;
};
extern struct bounce_state bounce;

/* The log of this service's name: bounce, defer or trace. */
bool status_append(const struct bounce_append *entries, struct why *why);
bool status_forget(struct str id, struct why *why);

/* Makes the notices that notify_classes and the sender ask for; then removes the log (but
 * that of a delay). True when nothing is left to do. */
bool notice_send(const struct bounce_send *request, struct why *why);

#endif
