/* What the files of bounce share: the service's state and its two halves. */
#ifndef BOUNCE_BOUNCE_H
#define BOUNCE_BOUNCE_H

#include "bounce_params.h"
#include "client/cleanup_client.h"
#include "mail/notice_template.h"
#include "mail/why.h"
#include "message/bounce.h"
#include "queue/bounce_log.h"
#include "service/service.h"

struct bounce_state {
	struct bounce_params params;
	struct cleanup_client *cleanup;
	uid_t queue_owner;
	struct notice_templates templates;
	struct buf texts[NOTICE_TEMPLATE_COUNT]; /* expanded; see bounce_text */
};
extern struct bounce_state bounce;

/* The text of a template, expanded once a process. */
MUST_USE bool bounce_text(
    enum notice_template_kind kind, struct str *text_r, struct why *why);

/* The log of this service's name: bounce, defer or trace. */
bool status_append(const struct bounce_append *entries, struct why *why);
bool status_forget(struct str id, struct why *why);
/* One entry as the log has it. */
void status_write(struct buf *out, const struct bounce_add_entry *e);

/* Makes the notices that notify_classes and the sender ask for; then removes the log (but
 * that of a delay). True when nothing is left to do. */
bool notice_send(const struct bounce_send *request, struct why *why);
/* A notice of failure from the entries in the request. */
bool notice_send_one(const struct bounce_one *request, struct why *why);

#endif
