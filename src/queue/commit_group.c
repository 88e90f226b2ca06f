#include "queue/commit_group.h"

#include <errno.h>
#include <sched.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/fiber.h"
#include "run/worker.h"

#define BATCH_MAX  500   /* records */
#define NAMES_MS   20    /* between two looks whether messages have names */
#define PREPARE_MS 10000 /* after trouble, before another segment is asked for */

struct waiter {
	struct list_link link;
	const struct segment_record *record;
	struct fiber *fiber;
	int result;
	bool done;
};

struct batch {
	struct segment *segment;
	struct waiter *waiters[BATCH_MAX];
	struct segment_record records[BATCH_MAX];
	size_t count;
	int result;
};

struct commit_group {
	int dir;
	int64_t size;
	struct commit_slots *slots;
	struct segment *current, *spare; /* spare: empty, or NULL */
	struct segment *full;            /* to be emptied by the preparer */
	struct list_link waiting;
	struct batch *batch; /* the one under way */
	struct run_pace pace;
	bool writing, preparing;
	bool retired; /* takes nothing more */
	bool leaves;  /* its records where they are */
	int trouble;
	int64_t prepare_after; /* monotonic ms */
};

struct commit_group *commit_group_new(int dir, int64_t size, struct commit_slots *slots)
{
	struct commit_group *g = memory_alloc(sizeof(*g));
	g->dir = dir;
	g->size = size;
	g->slots = slots;
	g->batch = memory_alloc(sizeof(*g->batch));
	list_init(&g->waiting);
	return g;
}

void commit_group_free(struct commit_group *g)
{
	if (g == NULL)
		return;
	ENSURE(!commit_group_busy(g));
	segment_close(g->current);
	segment_close(g->spare);
	segment_close(g->full);
	free(g->batch);
	free(g);
}

bool commit_group_busy(const struct commit_group *g)
{
	return g->writing || g->preparing;
}

int commit_group_trouble(struct commit_group *g)
{
	int trouble = g->trouble;
	g->trouble = 0;
	return trouble;
}

/* --- the next segment --- */

struct preparation {
	struct segment *full, *ready;
	int dir, result;
	int64_t size;
};

/* The one that is full is used again; after a failed write it is left for recovery. */
static void prepare_job(void *job)
{
	struct preparation *p = job;
	if (p->full != NULL && segment_renew(p->full) == 0) {
		p->ready = p->full;
		return;
	}
	segment_close(p->full);
	p->result = segment_take(p->dir, p->size, &p->ready);
}

/* What the log alone knows of must be somewhere else before it may forget. */
static void wait_for_names(struct commit_group *g, const struct segment *full)
{
	while (g->slots != NULL && full != NULL && !g->leaves &&
	    commit_slots_owe(g->slots, segment_last_stamp(full)))
		fiber_sleep_ms(NAMES_MS);
}

static void prepare_end(struct commit_group *g, const struct preparation *p)
{
	g->preparing = false;
	if (p->result < 0) {
		g->trouble = p->result;
		g->prepare_after = deadline_after_ms(PREPARE_MS);
	}
	if (g->current == NULL)
		g->current = p->ready;
	else
		g->spare = p->ready;
}

static void prepare(void *argument)
{
	struct commit_group *g = argument;
	struct preparation p = {.full = g->full, .dir = g->dir, .size = g->size};
	g->full = NULL;
	wait_for_names(g, p.full);
	if (g->leaves)
		segment_close(p.full);
	else
		run_disk(NULL, prepare_job, &p);
	prepare_end(g, &p);
}

static void want_spare(struct commit_group *g)
{
	if (g->spare != NULL || g->preparing || g->retired ||
	    clock_ms() < g->prepare_after)
		return;
	g->preparing = fiber_start("segment", prepare, g) == 0;
}

void commit_group_prepare(struct commit_group *g)
{
	if (g->current == NULL)
		want_spare(g);
}

/* The next batch goes to the other segment. False: there is none yet. */
static bool turn(struct commit_group *g)
{
	if (g->spare == NULL || g->full != NULL)
		return false;
	g->full = g->current;
	g->current = g->spare;
	g->spare = NULL;
	want_spare(g);
	return true;
}

/* --- the end --- */

/* Whoever takes it next has nothing to read and nothing to sync; if this fails, he has.
 */
static void hand_on(struct segment *s)
{
	if (s != NULL && segment_last_stamp(s) > 0)
		(void)!segment_renew(s);
	segment_close(s);
}

static void hand_on_job(void *job)
{
	struct commit_group *g = job;
	hand_on(g->full);
	hand_on(g->current);
	hand_on(g->spare);
	g->full = g->current = g->spare = NULL;
}

static void retire(void *argument)
{
	struct commit_group *g = argument;
	if (!g->leaves)
		run_disk(NULL, hand_on_job, g);
	g->preparing = false;
}

bool commit_group_retire(struct commit_group *g, bool full)
{
	g->leaves = full;
	if (g->retired || commit_group_busy(g))
		return !commit_group_busy(g);
	g->retired = true;
	g->preparing = fiber_start("retire", retire, g) == 0;
	return !g->preparing;
}

/* --- writing --- */

static void write_job(void *job)
{
	struct batch *b = job;
	b->result = segment_append(b->segment, b->records, b->count);
}

/* As many as the segment has room for. */
static void collect(struct commit_group *g, struct batch *b)
{
	struct waiter *w;
	size_t room = segment_room(g->current);
	b->segment = g->current;
	b->count = 0;
	while (b->count < BATCH_MAX &&
	    (w = LIST_FIRST(&g->waiting, struct waiter, link)) != NULL &&
	    segment_cost(w->record) <= room) {
		room -= segment_cost(w->record);
		list_remove(&w->link);
		b->records[b->count] = *w->record;
		b->waiters[b->count++] = w;
	}
}

static void settle(struct waiter *w, int result)
{
	w->result = result;
	w->done = true;
	fiber_wake(w->fiber);
}

static void refuse_all(struct commit_group *g)
{
	struct waiter *w;
	while ((w = LIST_FIRST(&g->waiting, struct waiter, link)) != NULL) {
		list_remove(&w->link);
		settle(w, -EAGAIN);
	}
}

static void write_waiting(void *argument)
{
	struct commit_group *g = argument;
	struct batch *b = g->batch;
	while (!list_empty(&g->waiting)) {
		/* All that are nearly ready come with it, here and in those processes
		 * that want this processor. */
		(void)sched_yield();
		fiber_yield();
		collect(g, b);
		if (b->count == 0 && turn(g))
			continue;
		if (b->count == 0) {
			want_spare(g);
			refuse_all(g);
			break;
		}
		run_disk(&g->pace, write_job, b);
		for (size_t i = 0; i < b->count; i++)
			settle(b->waiters[i], b->result);
		if (segment_room(g->current) < (size_t)g->size / 2)
			want_spare(g);
	}
	g->writing = false;
}

static bool start_writing(struct commit_group *g)
{
	if (!g->writing)
		g->writing = fiber_start("group commit", write_waiting, g) == 0;
	return g->writing;
}

int commit_group_append(struct commit_group *g, const struct segment_record *record)
{
	struct waiter w = {.record = record, .fiber = fiber_self()};
	if (w.fiber == NULL || (int64_t)segment_cost(record) > g->size / 4)
		return -EAGAIN;
	commit_group_prepare(g);
	if (g->current == NULL || !start_writing(g))
		return -EAGAIN;
	list_append(&g->waiting, &w.link);
	while (!w.done)
		(void)fiber_sleep_until(CLOCK_NEVER);
	list_remove(&w.link);
	return w.result;
}
