/* A message's recipients come into memory in portions, as the limits allow, and each is
 * sent its way. */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "message/delivery.h"

#define PORTION_MAX   1000 /* recipients resolved in one go */
#define PORTION_ARENA (16 * 1024 * 1024)
#define UNREACHABLE   "rewrite service is not available"

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* What is left of a limit. */
static size_t left_of(int64_t limit, size_t used)
{
	return (size_t)limit > used ? (size_t)limit - used : 0;
}

/* Recipients that its transports have room for. Who overtook may use what is kept for
 * such, so that it does not stop again after a few. */
static size_t room_of_transports(const struct message *m)
{
	size_t room = 0;
	const struct job *j;
	LIST_FOREACH (j, &m->jobs, struct job, link) {
		const struct transport *t = j->transport;
		int64_t extra = j->schedule.overtook ? t->memory.extra : 0;
		room += left_of(t->memory.limit + extra, t->in_memory);
	}
	return room;
}

/* How many recipients may be read now; at least the guaranteed minimum is in memory. */
static size_t room_for(const struct message *m)
{
	size_t room = m->read == 0
	    ? left_of(qmgr.params.qmgr_message_recipient_limit, qmgr.recipients)
	    : room_of_transports(m);
	return larger(
	    room, left_of(qmgr.params.qmgr_message_recipient_minimum, m->in_memory));
}

/* No more than the file has left, as most messages have one, and one more that would be
 * too many. */
static size_t portion_size(const struct message *m)
{
	size_t left = m->envelope.recipient_count - (size_t)m->read + 1;
	return smaller(smaller(room_for(m), PORTION_MAX), left);
}

/* It is time for more: nothing is left, or many may be read, or some may and the last
 * time was long ago. */
static bool is_due(const struct message *m)
{
	size_t room = room_for(m);
	int64_t waited = clock_ms() - m->read_at;
	const struct job *j;
	if (m->in_memory == 0)
		return true;
	LIST_FOREACH (j, &m->jobs, struct job, link) {
		const struct memory_limits *l = &j->transport->memory;
		if (room >= (size_t)l->refill ||
		    (room > 0 && waited >= l->refill_delay_ms))
			return true;
	}
	return false;
}

static struct str shown(const struct queue_recipient *r)
{
	return r->original.len > 0 ? r->original : r->address;
}

/* REDIRECT sends one message instead of all. For them stands, in the log, the recipient
 * whose address comes first in the alphabet. */
static void apply_redirect(struct message *m, struct portion *p)
{
	if (m->envelope.redirect.len == 0 || p->count == 0)
		return;
	struct queue_recipient *first = &p->recipients[0];
	for (size_t i = 1; i < p->count; i++)
		if (str_compare(shown(&p->recipients[i]), shown(first)) < 0)
			*first = p->recipients[i];
	first->original = shown(first);
	first->address = m->envelope.redirect;
	p->count = 1;
	m->next_offset = -1;
}

void portion_forget(struct portion *p)
{
	if (--p->references > 0)
		return;
	arena_free(p->arena);
}

void portion_recipients_done(struct message *m, const struct portion *p, size_t count)
{
	m->in_memory -= count;
	if (p->first)
		qmgr.recipients -= count;
}

static void give_up_reading(struct message *m)
{
	m->left = true;
	m->next_offset = -1;
}

static int compare(const void *one, const void *other)
{
	const struct queue_recipient *a = one, *b = other;
	struct address_parts x = address_split(a->address), y = address_split(b->address);
	int by_domain = str_compare_nocase(x.domain, y.domain);
	return by_domain != 0 ? by_domain : str_compare(x.local, y.local);
}

/* By domain, then by name: who is named together to one server, and in which order. */
static void sort(struct portion *p)
{
	if (p->count > 1)
		qsort(p->recipients, p->count, sizeof(*p->recipients), compare);
}

static struct portion *portion_read(struct message *m, struct queue_file *f)
{
	struct arena *arena = arena_new(PORTION_ARENA);
	struct portion *p = arena_alloc(arena, sizeof(*p));
	size_t size = portion_size(m);
	ENSURE(p != NULL);
	p->arena = arena;
	p->references = 1;
	p->first = m->read == 0;
	p->recipients = arena_alloc_array(p->arena, size, sizeof(*p->recipients));
	ssize_t got = p->recipients != NULL
	    ? queue_file_recipients(f, p->arena, &m->next_offset, p->recipients, size)
	    : -ENOMEM;
	m->read += got > 0 ? (uint64_t)got : 0;
	/* A file whose pointers lead in a circle has recipients without end. */
	if (m->read > m->envelope.recipient_count)
		got = -EBADMSG;
	if (got >= 0) {
		p->count = (size_t)got;
		apply_redirect(m, p);
		sort(p);
		m->in_memory += p->count;
		qmgr.recipients += p->first ? p->count : 0;
		return p;
	}
	log_warning("%s: cannot read recipients: %s", m->id, strerror((int)-got));
	give_up_reading(m);
	portion_forget(p);
	return NULL;
}

static int resolve(struct message *m, struct portion *p)
{
	struct str *addresses = arena_alloc_array(p->arena, p->count, sizeof(*addresses));
	struct resolved *results =
	    arena_alloc_array(p->arena, p->count, sizeof(*results));
	if (addresses == NULL || results == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->count; i++)
		addresses[i] = p->recipients[i].address;
	struct resolve_question q = {.sender = m->envelope.sender,
	    .how = m->flags & DELIVERY_TELL_VERIFY ? RESOLVE_PROBE : 0};
	int error =
	    rewrite_resolve(qmgr.rewrite, q, addresses, p->count, p->arena, results);
	for (size_t i = 0; error == 0 && i < p->count; i++)
		route_recipient(m, p, i, &results[i]);
	return error;
}

/* Without the resolver nobody can be reached: all these wait. */
static void resolver_failed(struct message *m, struct portion *p, int error)
{
	log_warning("%s: %s: %s", m->id, UNREACHABLE, strerror(-error));
	portion_recipients_done(m, p, p->count);
	m->left = true;
}

static void run_all(void)
{
	size_t at = 0;
	struct str name;
	void *t;
	while (map_next(qmgr.transports, &at, &name, &t))
		dispatch_run(t);
}

/* So that a large message does not look small for having little of it in memory. */
static void tell_what_is_left(struct message *m)
{
	uint64_t left = m->envelope.recipient_count - m->read;
	struct job *j;
	LIST_FOREACH (j, &m->jobs, struct job, link) {
		int64_t together = j->transport->recipient_limit;
		schedule_job_expect(&j->schedule,
		    m->next_offset < 0 ? 0
				       : (int64_t)left / (together > 0 ? together : 1));
	}
}

void portion_take(struct message *m, struct queue_file *f)
{
	bool first = m->read == 0;
	struct portion *p = portion_read(m, f);
	if (p == NULL)
		return;
	int error = p->count > 0 ? resolve(m, p) : 0;
	if (error != 0)
		resolver_failed(m, p, error);
	if (!first || m->next_offset >= 0)
		tell_what_is_left(m);
	portion_forget(p);
	m->read_at = clock_ms();
	run_all();
}

static void refill(void *argument)
{
	struct message *m = argument;
	struct queue_file f;
	int error =
	    queue_file_open(&f, m->queue, str_of(m->id), false, false, qmgr.queue_owner);
	if (error == 0) {
		portion_take(m, &f);
		queue_file_close(&f);
	} else {
		log_warning("open %s %s: %s", m->queue, m->id, strerror(-error));
		give_up_reading(m);
	}
	m->reading = false;
	message_entry_done(m);
}

void portion_refill(struct message *m)
{
	if (m->next_offset < 0 || m->reading || !is_due(m))
		return;
	m->reading = true;
	if (fiber_start("refill", refill, m) == 0)
		return;
	m->reading = false;
	give_up_reading(m);
}
