/*
 * Entries go to delivery agents, in the order that schedule.h makes. What cannot be sent
 * now goes to the `retry` service instead, which records why, so that there is one way
 * for all outcomes.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/delivery_client.h"
#include "mail/verp.h"
#include "run/loop.h"

/* Of the recipients of one delivery. The rest of a frame is for what else a request says,
 * and for what an agent adds to it that passes it on. */
#define ENTRY_BYTES (WIRE_PAYLOAD_MAX / 2)
#define ENTRY_FIRST 4 /* recipients that a new entry has memory for */

static void entry_free(struct entry *e)
{
	struct message *m = e->message;
	portion_recipients_done(m, e->portion, e->count);
	e->destination->transport->in_memory -= e->count;
	m->entries--;
	portion_forget(e->portion);
	message_entry_done(m);
	intake_wake();
}

static struct job *job_of(struct message *m, struct transport *t)
{
	struct job *j;
	LIST_FOREACH (j, &m->jobs, struct job, link)
		if (j->transport == t)
			return j;
	j = arena_alloc(m->arena, sizeof(*j));
	if (j == NULL)
		return NULL;
	j->transport = t;
	schedule_job_init(&j->schedule, &t->schedule, clock_ms());
	list_append(&m->jobs, &j->link);
	return j;
}

/* What a recipient adds to a delivery request (message/delivery.h), or more. */
static size_t bytes_of(const struct delivery_recipient *r)
{
	return sizeof(*r) + r->address.len + r->original.len + r->dsn_orcpt.len;
}

/* The entry that was made last, when it has room for one more recipient. */
static struct entry *entry_with_room(const struct message *m, const struct portion *p,
    const struct destination *d, size_t bytes)
{
	struct entry *last = d->last;
	return last != NULL && last->message == m && last->portion == p &&
		last->count < last->room && last->bytes + bytes <= ENTRY_BYTES
	    ? last
	    : NULL;
}

/* Memory for one more recipient. A limit may be high, or none: who took as much as that
 * for each destination would use up the portion's memory where there are many. */
static bool entry_grow(struct entry *e)
{
	uint32_t wanted = e->allocated == 0 ? ENTRY_FIRST : 2 * e->allocated;
	struct delivery_recipient *more;
	if (e->count < e->allocated)
		return true;
	if (wanted > e->room)
		wanted = e->room;
	more = arena_alloc_array(e->portion->arena, wanted, sizeof(*more));
	if (more == NULL)
		return false;
	if (e->count > 0)
		memcpy(more, e->recipients, e->count * sizeof(*more));
	e->recipients = more;
	e->allocated = wanted;
	return true;
}

/* With VERP each recipient has a sender address of its own. */
static uint32_t room_of(
    const struct message *m, const struct portion *p, const struct transport *t)
{
	int64_t limit = m->envelope.verp.len > 0 ? 1 : t->recipient_limit;
	return limit > 0 && limit < (int64_t)p->count ? (uint32_t)limit
						      : (uint32_t)p->count;
}

static struct entry *entry_new(
    struct message *m, struct portion *p, struct destination *d)
{
	struct job *j = job_of(m, d->transport);
	struct entry *e = arena_alloc(p->arena, sizeof(*e));
	if (e == NULL || j == NULL)
		return NULL;
	e->message = m;
	e->portion = p;
	e->destination = d;
	e->room = room_of(m, p, d->transport);
	if (!entry_grow(e))
		return NULL;
	p->references++;
	m->entries++;
	schedule_add(&e->schedule, &j->schedule, &d->schedule);
	d->last = e;
	clog_warn(d);
	return e;
}

void dispatch_add(struct message *m, struct portion *p, struct destination *d,
    const struct queue_recipient *r, struct str address)
{
	const struct delivery_recipient recipient = {.offset = r->offset,
	    .address = address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify};
	size_t bytes = bytes_of(&recipient);
	struct entry *e = entry_with_room(m, p, d, bytes);
	if (e == NULL)
		e = entry_new(m, p, d);
	if (e == NULL || !entry_grow(e)) { /* the portion's memory is used up: the rest
					      waits for the next attempt */
		m->left = true;
		portion_recipients_done(m, p, 1);
		return;
	}
	d->transport->in_memory++;
	e->bytes += bytes;
	e->recipients[e->count++] = recipient;
}

/* The message's sender, or, where it asks for VERP, one of this recipient's own, which
 * lies in `space`. */
static struct str sender_for(
    const struct message *m, struct str recipient, struct buf *space)
{
	const struct queue_envelope *e = &m->envelope;
	if (e->verp.len != 2 || e->sender.len == 0)
		return e->sender;
	verp_sender(space, e->verp, e->sender, recipient);
	return buf_ok(space) ? buf_str(space) : e->sender;
}

static int deliver(struct entry *e, struct transport *via, struct str nexthop,
    struct delivery_outcome *outcome)
{
	const struct queue_envelope *envelope = &e->message->envelope;
	struct timeval now = clock_wall();
	CLEANUP(buf_free) struct buf space = BUF_INIT(3 * ADDRESS_MAX);
	struct delivery_request request = {
	    .flags = e->message->flags |
		(e->destination->schedule.waiting == 0 ? 0 : DELIVERY_KEEP_CONNECTION),
	    .queue = str_of(e->message->queue),
	    .id = str_of(e->message->id),
	    .size = envelope->message_size,
	    .nexthop = nexthop,
	    .sender = sender_for(e->message, e->recipients[0].address, &space),
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

/* Nothing can be said of the transport when one delivery took too long, or its request or
 * answer was no good: others may go through. */
static bool is_of_transport(int error)
{
	return error != -ETIMEDOUT && error != -EMSGSIZE && error != -EBADMSG;
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
	if (error != 0 && is_of_transport(error))
		transport_failed(retry, error);
	else if (error != 0)
		log_warning("%s: cannot record why it waits: %s", e->message->id,
		    strerror(-error));
}

/* One delivery without a result. What is too large for a request was never sent. */
static enum schedule_outcome no_result(
    struct entry *e, int error, struct delivery_outcome *outcome_r)
{
	const struct destination *d = e->destination;
	struct delivery_outcome outcome = {
	    .left = true, .bounced = true, .hop_status = "4.3.0"};
	char reason[sizeof(outcome.hop_status) + sizeof(outcome.hop_text)];
	(void)snprintf(outcome.hop_text, sizeof(outcome.hop_text),
	    "delivery via %s gave no result: %s", d->transport->name, strerror(-error));
	(void)snprintf(
	    reason, sizeof(reason), "%s %s", outcome.hop_status, outcome.hop_text);
	log_warning("%s: to %s: %s", e->message->id, d->nexthop, outcome.hop_text);
	suspend(e, reason);
	*outcome_r = outcome;
	return error == -EMSGSIZE ? SCHEDULE_UNTRIED : SCHEDULE_UNREACHED;
}

/* What the delivery said about its destination; reasons in `outcome`. */
static enum schedule_outcome attempt(struct entry *e, struct delivery_outcome *outcome)
{
	struct destination *d = e->destination;
	const char *dead = destination_dead_reason(d);
	if (dead != NULL) {
		char *reason = memory_copy_cstr(dead);
		suspend(e, reason);
		free(reason);
		return SCHEDULE_UNTRIED;
	}
	int error = deliver(e, d->transport, str_of(d->nexthop), outcome);
	if (error != 0 && !is_of_transport(error))
		return no_result(e, error, outcome);
	if (error != 0) {
		transport_failed(d->transport, error);
		suspend(e, "4.3.0 mail transport unavailable");
		return SCHEDULE_UNTRIED;
	}
	if (outcome->left)
		e->message->left = true;
	return outcome->hop_status[0] != '\0' ? SCHEDULE_UNREACHED : SCHEDULE_REACHED;
}

/* destination_concurrency_feedback_debug: what a delivery did to the window that was
 * `old` before. The window of a dead destination is told as 0. */
static void log_feedback(const struct destination *d, enum schedule_outcome how,
    const struct schedule_destination *old, bool dead)
{
	const struct schedule_destination *s = &d->schedule;
	const struct schedule_limits *limits = &d->transport->schedule.limits;
	bool reached = how == SCHEDULE_REACHED;
	const char *what = reached ? "qmgr_queue_unthrottle" : "qmgr_queue_throttle";
	if (how == SCHEDULE_UNTRIED)
		return;
	if (!dead)
		log_info("%s: feedback %g", what,
		    schedule_feedback_at(
			reached ? &limits->positive : &limits->negative, old->window));
	log_info("%s: queue %s: limit %lld window %lld success %g failure %g "
		 "fail_cohorts %g",
	    what, d->key, (long long)limits->concurrency, dead ? 0 : (long long)s->window,
	    s->success, s->failure,
	    dead ? old->failed_cohorts + 1 / (double)old->window : s->failed_cohorts);
}

static void run_entry(void *argument)
{
	struct entry *e = argument;
	struct destination *d = e->destination;
	struct transport *t = d->transport;
	struct delivery_outcome outcome;
	enum schedule_outcome how = attempt(e, &outcome);
	struct schedule_destination old = d->schedule;
	bool dead = schedule_done(&e->schedule, how, clock_ms());
	if (dead)
		destination_suspend(d, outcome.hop_status, outcome.hop_text);
	if (qmgr.params.destination_concurrency_feedback_debug)
		log_feedback(d, how, &old, dead);
	entry_free(e);
	destination_release(d);
	dispatch_run(t);
}

static void start_entry(struct entry *e)
{
	struct destination *d = e->destination;
	if (d->last == e)
		d->last = NULL;
	if (fiber_start("deliver", run_entry, e) == 0)
		return;
	(void)schedule_done(&e->schedule, SCHEDULE_UNTRIED, clock_ms());
	e->message->left = true;
	entry_free(e);
}

void dispatch_run(struct transport *t)
{
	struct schedule_entry *next;
	while ((next = schedule_next(&t->schedule, clock_ms())) != NULL)
		start_entry(CONTAINER_OF(next, struct entry, schedule));
	if (t->pause != NULL)
		run_timer_set(t->pause, schedule_when(&t->schedule));
}
