/*
 * What is delivered next: the whole of qmgr's scheduling, without I/O, without a clock
 * (the time is passed in, monotonic milliseconds) and without knowledge of messages.
 *
 * A transport has jobs (the part of one message that goes through it) and destinations;
 * a job has entries (one delivery each). Jobs are served in the order of their arrival,
 * but for two things: a destination takes no more deliveries at a time than its window,
 * so what has no room there is parked with it while others go on; and a job of many
 * deliveries lets small ones overtake it: each slot_cost of its deliveries earn a slot,
 * and a job may go first for as many slots as it has deliveries, less a discount and a
 * loan. Who is smaller and older goes first.
 *
 * A window starts at `initial`. A delivery that reached the destination lets it grow by
 * the positive feedback, one that did not lets it shrink by the negative one; what is
 * less than 1 is summed up. Growth counts at the end of such a sum, shrinking at its
 * start, both half a step early; so the first failure takes two from a window where each
 * further one takes one. When `failed_cohorts` windows of deliveries failed with no
 * success in between, the destination is dead.
 *
 * The caller owns all structs, which lie within its own; nothing is allocated here but
 * the arrays of the heaps. Each call is O(log n) of what waits, schedule_next amortized.
 */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/str.h"

/* How much one delivery changes a window: amount, over its width or the root of that. */
struct schedule_feedback {
	double amount;
	enum { SCHEDULE_CONSTANT, SCHEDULE_BY_WINDOW, SCHEDULE_BY_ROOT } by;
};
/* "1", "0.5 / concurrency", "1 / sqrt_concurrency": amount from 0 to 1. */
MUST_USE bool schedule_feedback_parse(struct str text, struct schedule_feedback *r);
/* By how much the next delivery changes a window of this width. */
double schedule_feedback_at(const struct schedule_feedback *f, int64_t window);

/* Of one transport. */
struct schedule_limits {
	int64_t under_way;            /* deliveries at a time, all destinations; > 0 */
	int64_t concurrency;          /* the widest window; 0: no limit */
	int64_t initial;              /* > 0 */
	int64_t failed_cohorts;       /* 0: nothing is ever dead */
	int64_t destination_delay_ms; /* pause between deliveries; not 0: one at a time */
	int64_t transport_delay_ms;
	struct schedule_feedback positive, negative;
	int64_t slot_cost; /* 0: nobody overtakes */
	int64_t slot_loan, slot_discount /* percent */, minimum_slots;
};

#define SCHEDULE_SIZES 24 /* of jobs: powers of two of entries */

struct schedule_transport {
	struct schedule_limits limits;
	struct heap jobs;                       /* with ready entries, by turn */
	struct heap candidates[SCHEDULE_SIZES]; /* of these, who did not overtake yet */
	struct heap delayed;                    /* destinations that pause, by time */
	int64_t sequence, not_before;
	int64_t under_way;
};

struct schedule_destination {
	struct schedule_transport *transport;
	struct heap parked; /* entries that found no room, by turn */
	struct heap small;  /* the same ones, by size of their job, then by turn */
	struct heap_link delayed;
	int64_t window, under_way, waiting; /* waiting: entries, parked or not */
	double success, failure, failed_cohorts;
	int64_t not_before, dead_until; /* ms */
};

struct schedule_job {
	struct schedule_transport *transport;
	struct list_link ready, parked; /* entries */
	struct heap_link turn, candidate;
	int64_t since;
	int64_t waiting, selected; /* entries */
	int64_t expected;          /* entries that are to be added later */
	int64_t slots_used;
	int size; /* index of candidates while in it */
	bool overtook;
};

struct schedule_entry {
	struct schedule_job *job;
	struct schedule_destination *destination;
	struct list_link link;
	struct heap_link parked, small;
};

void schedule_transport_init(
    struct schedule_transport *t, const struct schedule_limits *limits);
void schedule_destination_init(
    struct schedule_destination *d, struct schedule_transport *t);
/* Only with nothing waiting and under way. */
void schedule_destination_free(struct schedule_destination *d);
/* Nothing would be lost by forgetting it. */
bool schedule_destination_idle(const struct schedule_destination *d, int64_t now);
void schedule_job_init(struct schedule_job *j, struct schedule_transport *t, int64_t now);

/* About so many deliveries are to be added later: for who is small they count as if they
 * waited already. */
void schedule_job_expect(struct schedule_job *j, int64_t entries);

/* A delivery that waits from now on. */
void schedule_add(
    struct schedule_entry *e, struct schedule_job *j, struct schedule_destination *d);
/* What is delivered next; it counts as under way until schedule_done. NULL: nothing now;
 * ask again after schedule_add, schedule_done, schedule_revive, and at schedule_when. */
struct schedule_entry *schedule_next(struct schedule_transport *t, int64_t now);
/* When the next pause ends that something waits for, or CLOCK_NEVER. */
int64_t schedule_when(const struct schedule_transport *t);

enum schedule_outcome {
	SCHEDULE_REACHED,   /* whatever became of the message */
	SCHEDULE_UNREACHED, /* no connection or no handshake */
	SCHEDULE_UNTRIED,   /* says nothing about the destination, and makes no pause */
};
/* The delivery is over. True: the destination counts as dead from now on; the caller
 * sets dead_until. */
bool schedule_done(struct schedule_entry *e, enum schedule_outcome how, int64_t now);
/* Forgets that the destination is dead. */
void schedule_revive(struct schedule_destination *d);

#endif
