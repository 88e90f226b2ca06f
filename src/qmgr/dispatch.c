/*
 * Entries go to delivery agents, in the order that schedule.h makes. What cannot be sent
 * now goes to the `retry` service instead, which records why, so that there is one way
 * for all outcomes.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/delivery_client.h"
#include "mail/verp.h"
#include "run/loop.h"

static void entry_free(struct entry *e)
{
	struct message *m = e->message;
	portion_recipients_done(m, e->portion, e->count);
	e->destination->transport->in_memory -= e->count;
	m->entries--;
	portion_forget(e->portion);
	free(e);
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

/* The entry that was made last, when it has room for one more recipient. */
static struct entry *entry_with_room(
    const struct message *m, const struct portion *p, const struct destination *d)
{
	struct entry *last = d->last;
	return last != NULL && last->message == m && last->portion == p &&
		last->count < last->room
	    ? last
	    : NULL;
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
	struct entry *e = memory_alloc(sizeof(*e));
	e->message = m;
	e->portion = p;
	e->destination = d;
	e->room = room_of(m, p, d->transport);
	e->recipients = arena_alloc_array(p->arena, e->room, sizeof(*e->recipients));
	if (e->recipients == NULL || j == NULL) {
		free(e);
		return NULL;
	}
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
	struct entry *e = entry_with_room(m, p, d);
	if (e == NULL)
		e = entry_new(m, p, d);
	if (e == NULL) { /* the portion's memory is used up: the rest waits for the next
			    attempt */
		m->left = true;
		portion_recipients_done(m, p, 1);
		return;
	}
	d->transport->in_memory++;
	e->recipients[e->count++] = (struct delivery_recipient){.offset = r->offset,
	    .address = address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify};
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
		transport_failed(retry, error);
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
