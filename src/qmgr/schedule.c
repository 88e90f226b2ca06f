#include "qmgr/schedule.h"

#include "base/clock.h"
#include "qmgr/schedule_window.h"

/* Turns leave room for those that overtake: each goes right before whom it overtakes. */
#define TURNS 1000000

void schedule_transport_init(
    struct schedule_transport *t, const struct schedule_limits *limits)
{
	*t = (struct schedule_transport){.limits = *limits};
	if (limits->destination_delay_ms > 0)
		t->limits.concurrency = 1;
	if (limits->transport_delay_ms > 0)
		t->limits.under_way = 1;
}

void schedule_destination_init(
    struct schedule_destination *d, struct schedule_transport *t)
{
	*d = (struct schedule_destination){.transport = t};
	schedule_window_reset(d);
}

void schedule_destination_free(struct schedule_destination *d)
{
	heap_remove(&d->transport->delayed, &d->delayed);
	heap_free(&d->parked);
	heap_free(&d->small);
}

bool schedule_destination_idle(const struct schedule_destination *d, int64_t now)
{
	return d->waiting == 0 && d->under_way == 0 && d->dead_until <= now &&
	    d->not_before <= now;
}

void schedule_job_init(struct schedule_job *j, struct schedule_transport *t, int64_t now)
{
	*j = (struct schedule_job){.transport = t, .since = now};
	list_init(&j->ready);
	list_init(&j->parked);
	j->turn.key = ++t->sequence * TURNS;
}

static int64_t ahead_of(const struct schedule_job *j)
{
	return j->waiting + j->expected;
}

static int size_of(const struct schedule_job *j)
{
	int size = 0;
	for (int64_t n = ahead_of(j); n > 1 && size < SCHEDULE_SIZES - 1; n /= 2)
		size++;
	return size;
}

/* Jobs are in the heaps as long as they have something ready. */
static void stand_in_line(struct schedule_job *j)
{
	struct schedule_transport *t = j->transport;
	bool ready = !list_empty(&j->ready);
	bool candidate = ready && !j->overtook;
	int size = size_of(j);
	if (j->candidate.position != 0 && (!candidate || j->size != size))
		heap_remove(&t->candidates[j->size], &j->candidate);
	if (candidate && j->candidate.position == 0) {
		j->size = size;
		heap_insert(&t->candidates[size], &j->candidate, j->turn.key);
	}
	if (ready && j->turn.position == 0)
		heap_insert(&t->jobs, &j->turn, j->turn.key);
	else if (!ready)
		heap_remove(&t->jobs, &j->turn);
}

void schedule_job_expect(struct schedule_job *j, int64_t entries)
{
	j->expected = entries;
	stand_in_line(j);
}

void schedule_add(
    struct schedule_entry *e, struct schedule_job *j, struct schedule_destination *d)
{
	*e = (struct schedule_entry){.job = j, .destination = d};
	list_append(&j->ready, &e->link);
	j->waiting++;
	d->waiting++;
	stand_in_line(j);
}

static void park(struct schedule_entry *e)
{
	struct schedule_destination *d = e->destination;
	int64_t by_size = ((int64_t)size_of(e->job) << 56) + e->job->turn.key;
	list_remove(&e->link);
	list_append(&e->job->parked, &e->link);
	heap_insert(&d->parked, &e->parked, e->job->turn.key);
	heap_insert(&d->small, &e->small, by_size);
}

static void wake(struct schedule_entry *e)
{
	struct schedule_destination *d = e->destination;
	heap_remove(&d->parked, &e->parked);
	heap_remove(&d->small, &e->small);
	list_remove(&e->link);
	list_append(&e->job->ready, &e->link);
	stand_in_line(e->job);
}

static bool has_room(const struct schedule_destination *d, int64_t now)
{
	return d->under_way < d->window && (d->not_before <= now || d->dead_until > now);
}

/* Whose turn it is, and who is small, compete for each free place. */
static void wake_parked(struct schedule_destination *d)
{
	for (int64_t places = d->window - d->under_way; places > 0; places--) {
		struct heap_link *first = heap_first(&d->parked);
		if (first == NULL)
			return;
		wake(CONTAINER_OF(first, struct schedule_entry, parked));
		first = heap_first(&d->small);
		if (first != NULL)
			wake(CONTAINER_OF(first, struct schedule_entry, small));
	}
}

static void end_pauses(struct schedule_transport *t, int64_t now)
{
	struct heap_link *l;
	while ((l = heap_first(&t->delayed)) != NULL && l->key <= now) {
		heap_remove(&t->delayed, l);
		wake_parked(CONTAINER_OF(l, struct schedule_destination, delayed));
	}
}

/* The first entry of this job that has room; the others are parked. */
static struct schedule_entry *first_with_room(struct schedule_job *j, int64_t now)
{
	struct schedule_entry *e;
	while ((e = LIST_FIRST(&j->ready, struct schedule_entry, link)) != NULL) {
		if (has_room(e->destination, now))
			return e;
		park(e);
	}
	stand_in_line(j);
	return NULL;
}

/* The oldest candidate of a size that has something to do now. */
static struct schedule_job *first_candidate(struct heap *candidates, int64_t now)
{
	struct heap_link *l;
	while ((l = heap_first(candidates)) != NULL) {
		struct schedule_job *c = CONTAINER_OF(l, struct schedule_job, candidate);
		if (first_with_room(c, now) != NULL)
			return c;
	}
	return NULL;
}

/* Of two jobs the one that waited longer for each of its deliveries. */
static bool is_better(
    const struct schedule_job *a, const struct schedule_job *b, int64_t now)
{
	return b == NULL ||
	    (double)(now - a->since + 1) * (double)ahead_of(b) >
	    (double)(now - b->since + 1) * (double)ahead_of(a);
}

/* Who may overtake this job now, or NULL; it is no candidate itself meanwhile. */
static struct schedule_job *who_overtakes(struct schedule_job *j, int64_t now)
{
	const struct schedule_limits *limits = &j->transport->limits;
	struct schedule_job *best = NULL;
	if (limits->slot_cost == 0 ||
	    (ahead_of(j) + j->selected) / limits->slot_cost < limits->minimum_slots)
		return NULL;
	int64_t slots = j->selected / limits->slot_cost - j->slots_used;
	heap_remove(&j->transport->candidates[j->size], &j->candidate);
	for (int i = 0; i < SCHEDULE_SIZES; i++) {
		struct schedule_job *c =
		    first_candidate(&j->transport->candidates[i], now);
		if (c == NULL)
			continue;
		int64_t price =
		    ahead_of(c) * (100 - limits->slot_discount) / 100 - limits->slot_loan;
		if (price > slots)
			break; /* larger ones cost more */
		if (ahead_of(c) < ahead_of(j) && is_better(c, best, now))
			best = c;
	}
	return best;
}

static void set_turn(struct schedule_job *j, int64_t turn)
{
	struct list_link *l;
	heap_remove(&j->transport->jobs, &j->turn);
	j->turn.key = turn;
	for (l = j->parked.next; l != &j->parked; l = l->next) {
		struct schedule_entry *e = LIST_ENTRY(l, struct schedule_entry, link);
		heap_change(&e->destination->parked, &e->parked, turn);
	}
	stand_in_line(j);
}

static struct schedule_job *overtake(struct schedule_job *j, int64_t now)
{
	struct schedule_job *c = who_overtakes(j, now);
	stand_in_line(j);
	if (c == NULL)
		return j;
	j->slots_used += ahead_of(c);
	c->overtook = true;
	set_turn(c, j->turn.key - 1);
	return c;
}

static void select_entry(struct schedule_entry *e)
{
	list_remove(&e->link);
	e->job->waiting--;
	e->job->selected++;
	e->destination->waiting--;
	e->destination->under_way++;
	e->job->transport->under_way++;
	stand_in_line(e->job);
}

struct schedule_entry *schedule_next(struct schedule_transport *t, int64_t now)
{
	struct heap_link *l;
	end_pauses(t, now);
	if (t->under_way >= t->limits.under_way || t->not_before > now)
		return NULL;
	while ((l = heap_first(&t->jobs)) != NULL) {
		struct schedule_job *j = CONTAINER_OF(l, struct schedule_job, turn);
		struct schedule_entry *e = first_with_room(overtake(j, now), now);
		if (e == NULL)
			continue;
		select_entry(e);
		return e;
	}
	return NULL;
}

int64_t schedule_when(const struct schedule_transport *t)
{
	struct heap_link *pause = heap_first(&t->delayed);
	int64_t when = pause != NULL ? pause->key : CLOCK_NEVER;
	if (t->limits.transport_delay_ms > 0 && t->under_way == 0 &&
	    heap_first(&t->jobs) != NULL && t->not_before < when)
		when = t->not_before;
	return when;
}

static void begin_pauses(struct schedule_destination *d, int64_t now)
{
	struct schedule_transport *t = d->transport;
	if (t->limits.transport_delay_ms > 0)
		t->not_before = now + t->limits.transport_delay_ms;
	if (t->limits.destination_delay_ms == 0)
		return;
	d->not_before = now + t->limits.destination_delay_ms;
	heap_remove(&t->delayed, &d->delayed);
	heap_insert(&t->delayed, &d->delayed, d->not_before);
}

bool schedule_done(struct schedule_entry *e, enum schedule_outcome how, int64_t now)
{
	struct schedule_destination *d = e->destination;
	bool dead = false;
	if (how == SCHEDULE_REACHED)
		schedule_window_grow(d);
	else if (how == SCHEDULE_UNREACHED)
		dead = schedule_window_shrink(d);
	d->under_way--;
	d->transport->under_way--;
	if (how != SCHEDULE_UNTRIED)
		begin_pauses(d, now);
	if (dead || d->not_before <= now || d->dead_until > now)
		wake_parked(d);
	return dead;
}

void schedule_revive(struct schedule_destination *d)
{
	d->dead_until = 0;
	wake_parked(d);
}
