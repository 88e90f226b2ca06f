/*
 * For tests: a transport, destinations and messages in a virtual time. Each delivery
 * takes WORLD_DELIVERY_MS, whatever its destination; nothing is random.
 */
#ifndef QMGR_SCHEDULE_WORLD_H
#define QMGR_SCHEDULE_WORLD_H

#include <stddef.h>
#include "qmgr/schedule.h"

#define WORLD_DELIVERY_MS 100
#define WORLD_DEAD_MS     300000

/* The defaults of the parameters. */
#define WORLD_LIMITS                                                                    \
	{                                                                               \
		.under_way = 400, .concurrency = 20, .initial = 5, .failed_cohorts = 1, \
		.positive = {.amount = 1}, .negative = {.amount = 1}, .slot_cost = 5,   \
		.slot_loan = 3, .slot_discount = 50, .minimum_slots = 3                 \
	}

struct world;
struct world *world_new(const struct schedule_limits *limits, size_t destinations);
void world_free(struct world *w);
/* Nobody is reached there. */
void world_break(struct world *w, size_t destination);
/* Comes at `at` ms, not before the one added before: so many deliveries, in turn to
 * `among` destinations from `first` on. Numbered from 0. */
void world_message(
    struct world *w, int64_t at, size_t deliveries, size_t first, size_t among);
/* What happens until then; true: all is done. */
bool world_until(struct world *w, int64_t until);
/* Until all is done; panics when that is later than `until`. */
void world_run(struct world *w, int64_t until);

int64_t world_started(const struct world *w, size_t message);  /* its first delivery */
int64_t world_finished(const struct world *w, size_t message); /* its last one */
size_t world_unreached(const struct world *w);                 /* attempts that failed */
int64_t world_widest(const struct world *w);                   /* window at the end */
int64_t world_most_under_way(const struct world *w);
int64_t world_under_way(const struct world *w); /* now */
int64_t world_window(const struct world *w, size_t destination);
void world_forget_transport(struct schedule_transport *t);

#endif
