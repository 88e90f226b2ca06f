/*
 * Entries go to delivery agents. Destinations of a transport take turns; each has as many
 * deliveries under way as its window holds. What cannot be sent now goes to the `retry`
 * service instead, which records why, so that there is one way for all outcomes.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/delivery_client.h"

#define RETRY_TRANSPORT "retry"
#define UNDER_WAY_MAX \
	400 /* deliveries of one transport at once; master.cf limits them further */

void dispatch_forget_portion(struct portion *p)
{
	if (--p->references > 0)
		return;
	arena_free(p->arena);
	free(p);
}

static void entry_free(struct entry *e)
{
	struct message *m = e->message;
	m->in_memory -= e->count;
	qmgr.recipients -= e->count;
	m->entries--;
	dispatch_forget_portion(e->portion);
	free(e);
	message_entry_done(m);
	intake_wake();
}

/* The entry of this message that waits last, when it has room for one more recipient. */
static struct entry *entry_with_room(
    struct message *m, const struct portion *p, struct destination *d)
{
	if (list_empty(&d->waiting))
		return NULL;
	struct entry *last = LIST_ENTRY(d->waiting.previous, struct entry, link);
	return last->message == m && last->portion == p && last->count < last->room
	    ? last
	    : NULL;
}

static struct entry *entry_new(
    struct message *m, struct portion *p, struct destination *d)
{
	int64_t limit = d->transport->recipient_limit;
	struct entry *e = memory_alloc(sizeof(*e));
	e->message = m;
	e->portion = p;
	e->destination = d;
	e->room =
	    limit > 0 && limit < (int64_t)p->count ? (uint32_t)limit : (uint32_t)p->count;
	e->recipients = arena_alloc_array(p->arena, e->room, sizeof(*e->recipients));
	if (e->recipients == NULL) {
		free(e);
		return NULL;
	}
	p->references++;
	m->entries++;
	list_append(&d->waiting, &e->link);
	return e;
}

static bool has_work(const struct destination *d)
{
	return !list_empty(&d->waiting) &&
	    (double)d->under_way + 1 <= d->window + 0.000001;
}

static void make_ready(struct destination *d)
{
	if (has_work(d) && list_empty(&d->link))
		list_append(&d->transport->ready, &d->link);
}

void dispatch_add(struct message *m, struct portion *p, struct destination *d,
    const struct queue_recipient *r, struct str address)
{
	struct entry *e = entry_with_room(m, p, d);
	if (e == NULL)
		e = entry_new(m, p, d);
	if (e == NULL) { /* the portion's memory is used up: the rest waits for the next
			    attempt */
		m->left = true;
		m->in_memory--;
		qmgr.recipients--;
		return;
	}
	e->recipients[e->count++] = (struct delivery_recipient){.offset = r->offset,
	    .address = address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify};
	make_ready(d);
}

static int deliver(struct entry *e, struct transport *via, struct str nexthop,
    struct delivery_outcome *outcome)
{
	const struct queue_envelope *envelope = &e->message->envelope;
	struct timeval now = clock_wall();
	struct delivery_request request = {
	    .flags = e->message->flags |
		(list_empty(&e->destination->waiting) ? 0 : DELIVERY_KEEP_CONNECTION),
	    .queue = str_of(e->message->queue),
	    .id = str_of(e->message->id),
	    .size = envelope->message_size,
	    .nexthop = nexthop,
	    .sender = envelope->sender,
	    .envelope_id = envelope->envelope_id,
	    .ret = envelope->ret,
	    .sendopts = envelope->sendopts,
	    .encoding = str_of(queue_attribute(envelope, "encoding")),
	    .arrival =
		(int64_t)envelope->arrival.tv_sec * 1000000 + envelope->arrival.tv_usec,
	    .active = e->message->active_since,
	    .handed_over = (int64_t)now.tv_sec * 1000000 + now.tv_usec,
	    .recipients = e->recipients,
	    .recipients_count = e->count,
	};
	int error = delivery_client_run(via->agent, &request,
	    deadline_after_seconds(service_common()->daemon_timeout), outcome);
	/* Without an answer nobody knows how far it came. */
	if (error != 0 || outcome->bounced)
		e->message->bounced = true;
	return error;
}

/* Has the reason recorded for every recipient; without that they just stay. */
static void suspend(struct entry *e, const char *reason)
{
	struct delivery_outcome outcome;
	e->message->left = true;
	struct transport *retry = transport_get(STR(RETRY_TRANSPORT));
	if (retry == e->destination->transport || retry->dead_until > clock_ms())
		return;
	int error = deliver(e, retry, str_of(reason), &outcome);
	if (error != 0)
		transport_failed(retry, strerror(-error));
}

static void take_outcome(struct entry *e, const struct delivery_outcome *outcome)
{
	struct destination *d = e->destination;
	if (outcome->left)
		e->message->left = true;
	if (outcome->hop_status[0] != '\0')
		destination_failed(d, outcome->hop_status, outcome->hop_text);
	else
		destination_succeeded(d);
}

static void attempt(struct entry *e)
{
	struct destination *d = e->destination;
	const char *dead = destination_dead_reason(d);
	if (dead != NULL) {
		char *reason = memory_copy_cstr(dead);
		suspend(e, reason);
		free(reason);
		return;
	}
	struct delivery_outcome outcome;
	int error = deliver(e, d->transport, str_of(d->nexthop), &outcome);
	if (error == 0) {
		take_outcome(e, &outcome);
		return;
	}
	transport_failed(d->transport, strerror(-error));
	suspend(e, "4.3.0 mail transport unavailable");
}

static void run_entry(void *argument)
{
	struct entry *e = argument;
	struct destination *d = e->destination;
	struct transport *t = d->transport;
	attempt(e);
	d->under_way--;
	t->under_way--;
	entry_free(e);
	make_ready(d);
	destination_release(d);
	dispatch_run(t);
}

static void start_entry(struct destination *d)
{
	struct entry *e = LIST_FIRST(&d->waiting, struct entry, link);
	list_remove(&e->link);
	d->under_way++;
	d->transport->under_way++;
	if (fiber_start("deliver", run_entry, e) == 0)
		return;
	d->under_way--;
	d->transport->under_way--;
	e->message->left = true;
	entry_free(e);
}

void dispatch_run(struct transport *t)
{
	while (t->under_way < UNDER_WAY_MAX && !list_empty(&t->ready)) {
		struct destination *d = LIST_FIRST(&t->ready, struct destination, link);
		list_remove(&d->link);
		if (has_work(d))
			start_entry(d);
		make_ready(d);
	}
}
