/*
 * What the files of src/run know of each other: the libuv loop, deadlines, the list of
 * ready fibers, and the counts that tell whether anything can still happen. For src/run
 * only.
 */
#ifndef RUN_SCHEDULE_H
#define RUN_SCHEDULE_H

#include <uv.h>
#include "base/heap.h"
#include "run/fiber.h"
#include "run/loop.h"

uv_loop_t *run_uv(void);
/* Ends the process when a libuv call failed that only lack of resources can fail. */
void run_uv_check(const char *call, int result);

/* Fires once when clock_ms reaches its time, then is out of the heap. */
struct run_deadline {
	struct heap_link link;
	void (*fire)(struct run_deadline *d);
};
void run_deadline_set(struct run_deadline *d, int64_t deadline); /* NEVER takes it out */
void run_deadline_clear(struct run_deadline *d);

/* Something (children, jobs, listeners) that keeps the loop going: +1 or -1. */
void run_count_source(int change);
/* Something (waits for descriptors, signal handlers) that may wake a fiber: +1 or -1. */
void run_count_waker(int change);

/* signals.c for child.c. Before a fork: learns, the first time only, which signals were
 * ignored already when this process was started. */
void run_signals_look(void);
/* In the child: all signals to their defaults, none blocked. Only those that were ever
 * set or found ignored are touched, which saves some 60 system calls a child. */
void run_signals_reset(void);

/* fiber.c for loop.c */
bool fiber_any_ready(void);
/* Resumes ready fibers until none is left, or for long enough: events must be seen too.
 */
void fiber_run_ready(void);
NORETURN void fiber_panic_stuck(void);
void fiber_say_last_words(void);

#endif
