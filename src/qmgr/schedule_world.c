#include "qmgr/schedule_world.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"

#define MESSAGES_MAX 200

struct delivery {
	struct schedule_entry schedule;
	struct list_link link; /* of those under way: all take the same time */
	int64_t ends;
	size_t message;
	bool tried;
};

struct letter {
	struct schedule_job job;
	struct delivery *deliveries;
	int64_t at, started, finished;
	size_t count, first, among;
};

struct world {
	struct schedule_transport transport;
	struct schedule_destination *destinations;
	bool *broken;
	struct letter letters[MESSAGES_MAX];
	struct list_link under_way;
	size_t destinations_count, letters_count, arrived, left, unreached;
	int64_t now, most_under_way;
};

struct world *world_new(const struct schedule_limits *limits, size_t destinations)
{
	struct world *w = memory_alloc(sizeof(*w));
	schedule_transport_init(&w->transport, limits);
	w->destinations = memory_alloc_array(destinations, sizeof(*w->destinations));
	w->broken = memory_alloc_array(destinations, sizeof(*w->broken));
	w->destinations_count = destinations;
	for (size_t i = 0; i < destinations; i++)
		schedule_destination_init(&w->destinations[i], &w->transport);
	list_init(&w->under_way);
	return w;
}

void world_forget_transport(struct schedule_transport *t)
{
	heap_free(&t->jobs);
	heap_free(&t->delayed);
	for (int i = 0; i < SCHEDULE_SIZES; i++)
		heap_free(&t->candidates[i]);
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < w->destinations_count; i++)
		schedule_destination_free(&w->destinations[i]);
	for (size_t i = 0; i < w->letters_count; i++)
		free(w->letters[i].deliveries);
	world_forget_transport(&w->transport);
	free(w->destinations);
	free(w->broken);
	free(w);
}

void world_break(struct world *w, size_t destination)
{
	w->broken[destination] = true;
}

void world_message(
    struct world *w, int64_t at, size_t deliveries, size_t first, size_t among)
{
	ENSURE(w->letters_count < MESSAGES_MAX);
	struct letter *l = &w->letters[w->letters_count++];
	*l = (struct letter){
	    .at = at, .started = -1, .count = deliveries, .first = first, .among = among};
	l->deliveries = memory_alloc_array(deliveries, sizeof(*l->deliveries));
	w->left += deliveries;
}

static void arrive(struct world *w)
{
	while (w->arrived < w->letters_count && w->letters[w->arrived].at <= w->now) {
		struct letter *l = &w->letters[w->arrived];
		schedule_job_init(&l->job, &w->transport, w->now);
		for (size_t i = 0; i < l->count; i++) {
			l->deliveries[i].message = w->arrived;
			schedule_add(&l->deliveries[i].schedule, &l->job,
			    &w->destinations[l->first + i % l->among]);
		}
		w->arrived++;
	}
}

static void start(struct world *w)
{
	struct schedule_entry *e;
	while ((e = schedule_next(&w->transport, w->now)) != NULL) {
		struct delivery *d = CONTAINER_OF(e, struct delivery, schedule);
		struct letter *l = &w->letters[d->message];
		ENSURE(e->destination->under_way <= e->destination->window);
		d->tried = e->destination->dead_until <= w->now;
		d->ends = w->now + (d->tried ? WORLD_DELIVERY_MS : 0);
		if (l->started < 0)
			l->started = w->now;
		if (d->tried)
			list_append(&w->under_way, &d->link);
		else
			list_prepend(&w->under_way, &d->link);
		if (w->transport.under_way > w->most_under_way)
			w->most_under_way = w->transport.under_way;
	}
}

static void end(struct world *w)
{
	struct delivery *d;
	while ((d = LIST_FIRST(&w->under_way, struct delivery, link)) != NULL &&
	    d->ends <= w->now) {
		struct schedule_destination *to = d->schedule.destination;
		bool broken = w->broken[to - w->destinations];
		enum schedule_outcome how = !d->tried ? SCHEDULE_UNTRIED
		    : broken                          ? SCHEDULE_UNREACHED
						      : SCHEDULE_REACHED;
		w->unreached += how == SCHEDULE_UNREACHED;
		list_remove(&d->link);
		if (schedule_done(&d->schedule, how, w->now))
			to->dead_until = w->now + WORLD_DEAD_MS;
		w->letters[d->message].finished = w->now;
		w->left--;
	}
}

/* The next time at which something happens. */
static int64_t next_time(const struct world *w)
{
	int64_t next = schedule_when(&w->transport);
	struct delivery *d = LIST_FIRST(&w->under_way, struct delivery, link);
	if (d != NULL && d->ends < next)
		next = d->ends;
	if (w->arrived < w->letters_count && w->letters[w->arrived].at < next)
		next = w->letters[w->arrived].at;
	return next;
}

bool world_until(struct world *w, int64_t until)
{
	for (;;) {
		arrive(w);
		end(w);
		start(w);
		int64_t next = next_time(w);
		ENSURE(w->left == 0 || next >= w->now);
		if (w->left == 0 || next > until)
			return w->left == 0;
		w->now = next;
	}
}

void world_run(struct world *w, int64_t until)
{
	ENSURE(world_until(w, until));
}

int64_t world_started(const struct world *w, size_t message)
{
	return w->letters[message].started;
}

int64_t world_finished(const struct world *w, size_t message)
{
	return w->letters[message].finished;
}

size_t world_unreached(const struct world *w)
{
	return w->unreached;
}

int64_t world_widest(const struct world *w)
{
	int64_t widest = 0;
	for (size_t i = 0; i < w->destinations_count; i++)
		if (w->destinations[i].window > widest)
			widest = w->destinations[i].window;
	return widest;
}

int64_t world_most_under_way(const struct world *w)
{
	return w->most_under_way;
}

int64_t world_under_way(const struct world *w)
{
	return w->transport.under_way;
}

int64_t world_window(const struct world *w, size_t destination)
{
	return w->destinations[destination].window;
}
