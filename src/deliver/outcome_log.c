/* Entries in the logs of bounce, defer and trace. */
#include "deliver/outcome.h"

#include <errno.h>

#include "client/bounce_client.h"
#include "client/service_client.h"

/* A log that entries go to: which outcomes, and what they are called there. */
struct destination_log {
	struct ipc_client *service;
	enum delivery_result result;
	const char *action;
	bool is_trace;
};

static struct {
	struct ipc_client *bounce, *defer, *trace;
} logs;

void outcome_log_open(const struct common_params *common)
{
	logs.bounce =
	    service_client_new(common, SERVICE_PRIVATE, common->bounce_service_name);
	logs.defer =
	    service_client_new(common, SERVICE_PRIVATE, common->defer_service_name);
	logs.trace =
	    service_client_new(common, SERVICE_PRIVATE, common->trace_service_name);
}

/* RFC 3461 4.1: a failure is not reported when NOTIFY was given without FAILURE. */
static bool is_silent(const struct destination_log *l, const struct delivery_recipient *r)
{
	return !l->is_trace && l->result == DELIVERY_BOUNCED && r->notify != 0 &&
	    (r->notify & DSN_NOTIFY_FAILURE) == 0;
}

/* Reports say by which way it went: "delivery via local: delivered to mailbox". */
static struct str reason_of(const struct delivery *d, const struct destination_log *l,
    const struct delivery_failure *f)
{
	struct str relay = f->relay.len > 0 ? f->relay : str_of(d->relay);
	if (!l->is_trace || str_is(relay, "none"))
		return f->text;
	const char *text = arena_printf(
	    d->arena, "delivery via %.*s: %.*s", STR_ARG(relay), STR_ARG(f->text));
	return text != NULL ? str_slice(str_of(text), 0, WHY_TEXT_MAX) : f->text;
}

static void fill_entry(const struct delivery *d, size_t index,
    const struct destination_log *l, struct bounce_add_entry *e)
{
	const struct delivery_failure *f = &d->recipients[index].failure;
	const struct delivery_recipient *r = d->recipients[index].request;
	const char *action = d->recipients[index].action;
	*e = (struct bounce_add_entry){
	    .id = d->request.id,
	    .offset = r->offset,
	    .recipient = r->address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify,
	    .status = f->status,
	    .action = str_of(action != NULL ? action : l->action),
	    .reason = reason_of(d, l, f),
	    .diag_type = f->diag_type,
	    .diag_text = str_slice(f->diag_text, 0, WHY_TEXT_MAX),
	    .mta_name = f->mta_name,
	};
}

static bool belongs(
    const struct delivery *d, size_t index, const struct destination_log *l)
{
	const struct delivery_rcpt *rcpt = &d->recipients[index];
	if (rcpt->result != l->result || is_silent(l, rcpt->request))
		return false;
	if (rcpt->owned && l->service == logs.bounce)
		return false; /* outcome_log_owner did */
	/* Of what is tried again it is told then. */
	if (rcpt->result == DELIVERY_EXPANDED && delivery_is_left(d, index))
		return false;
	return l->result != DELIVERY_SENT || outcome_is_traced(d, index);
}

/* One append for all of one outcome. 0, or why the log could not take them. */
static int append(const struct delivery *d, const struct destination_log *l)
{
	struct bounce_append entries = {.entries = NULL};
	for (size_t i = 0; i < d->count; i++) {
		if (!belongs(d, i, l))
			continue;
		if (entries.entries == NULL)
			entries.entries = arena_alloc_array(
			    d->arena, d->count - i, sizeof(*entries.entries));
		if (entries.entries == NULL)
			return -ENOMEM;
		fill_entry(d, i, l, &entries.entries[entries.entries_count++]);
	}
	return entries.entries_count > 0 ? bounce_client_append(l->service, &entries) : 0;
}

/* A notice for each member, as in Postfix; the postmaster may hear of it where the sender
 * does not want to. */
int outcome_log_owner(const struct delivery *d, size_t index)
{
	const struct destination_log l = {logs.bounce, DELIVERY_BOUNCED, "failed", false};
	const struct delivery_request *r = &d->request;
	struct bounce_add_entry entry;
	fill_entry(d, index, &l, &entry);
	return bounce_client_one(logs.bounce,
	    &(struct bounce_one){.entries = &entry,
		.entries_count = 1,
		.queue = r->queue,
		.owner = d->recipients[index].sender,
		.sender = r->sender,
		.sendopts = r->sendopts,
		.encoding = r->encoding});
}

int outcome_log_failed(const struct delivery *d)
{
	return append(
	    d, &(struct destination_log){logs.bounce, DELIVERY_BOUNCED, "failed", false});
}

int outcome_log_delayed(const struct delivery *d)
{
	return append(d,
	    &(struct destination_log){logs.defer, DELIVERY_DEFERRED, "delayed", false});
}

int outcome_log_trace(
    const struct delivery *d, enum delivery_result result, const char *action)
{
	return append(d, &(struct destination_log){logs.trace, result, action, true});
}
