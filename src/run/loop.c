#include "run/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/schedule.h"

struct hook {
	int rank;
	void (*call)(void);
};

struct soon {
	struct list_link link;
	void (*callback)(void *);
	void *argument;
};

struct run_timer {
	struct run_deadline deadline;
	void (*callback)(void *);
	void *argument;
};

static struct {
	bool ready, running, stop;
	uv_loop_t uv;
	uv_timer_t wake;     /* ends the wait for events at the first deadline */
	int64_t wake_set_to; /* CLOCK_NEVER: not running */
	struct heap deadlines;
	int64_t firing_until; /* while due deadlines are fired, else 0 */
	struct list_link soon;
	struct hook hooks[8];
	size_t hook_count;
	int sources, wakers;
} state = {.soon = LIST_INIT(state.soon)};

uv_loop_t *run_uv(void)
{
	ENSURE(state.ready);
	return &state.uv;
}

void run_uv_check(const char *call, int result)
{
	if (result < 0)
		fatal("event loop: %s: %s", call, uv_strerror(result));
}

void run_init(void)
{
	if (state.ready)
		return;
	state.ready = true;
	run_uv_check("uv_loop_init", uv_loop_init(&state.uv));
	run_uv_check("uv_timer_init", uv_timer_init(&state.uv, &state.wake));
	state.wake_set_to = CLOCK_NEVER;
	run_before_wait(0, log_flush);
	panic_last_words(fiber_say_last_words);
}

void run_count_source(int change)
{
	state.sources += change;
	ENSURE(state.sources >= 0);
}

void run_count_waker(int change)
{
	state.wakers += change;
	ENSURE(state.wakers >= 0);
}

/* What a callback sets to the past comes after all that are due already. */
void run_deadline_set(struct run_deadline *d, int64_t deadline)
{
	if (deadline <= state.firing_until)
		deadline = state.firing_until + 1;
	if (deadline == CLOCK_NEVER)
		heap_remove(&state.deadlines, &d->link);
	else
		heap_change(&state.deadlines, &d->link, deadline);
}

void run_deadline_clear(struct run_deadline *d)
{
	heap_remove(&state.deadlines, &d->link);
}

static void fire_deadlines(void)
{
	struct heap_link *first = heap_first(&state.deadlines);

	if (first == NULL)
		return;
	state.firing_until = clock_ms();
	for (; first != NULL && first->key <= state.firing_until;
	     first = heap_first(&state.deadlines)) {
		struct run_deadline *d = CONTAINER_OF(first, struct run_deadline, link);
		heap_remove(&state.deadlines, first);
		d->fire(d);
	}
	state.firing_until = 0;
}

static void run_soon_callbacks(void)
{
	struct list_link batch = LIST_INIT(batch);

	if (list_empty(&state.soon))
		return;
	list_append(&state.soon, &batch); /* the list now ends in batch... */
	list_remove(&state.soon);         /* ...and is it */
	while (!list_empty(&batch)) {
		struct soon *s = LIST_FIRST(&batch, struct soon, link);
		list_remove(&s->link);
		s->callback(s->argument);
		free(s);
	}
}

static void call_hooks(void)
{
	for (size_t i = 0; i < state.hook_count; i++)
		state.hooks[i].call();
}

/* libuv runs timers before it waits, too: one that is due already must not let it wait.
 */
static void on_wake(UNUSED uv_timer_t *timer)
{
	state.wake_set_to = CLOCK_NEVER;
	uv_stop(&state.uv);
}

/* One that was set to an earlier time is left: it ends one wait for nothing, and to move
 * it for each wait would cost more. */
static void set_wake(int64_t deadline)
{
	if (deadline >= state.wake_set_to)
		return;
	state.wake_set_to = deadline;
	uv_update_time(&state.uv);
	(void)uv_timer_start(
	    &state.wake, on_wake, (uint64_t)deadline_left_ms(deadline), 0);
}

static bool anything_left(void)
{
	return fiber_count() > 0 || state.sources > 0 || state.deadlines.count > 0 ||
	    !list_empty(&state.soon);
}

static void wait_for_events(void)
{
	struct heap_link *first = heap_first(&state.deadlines);
	int64_t deadline = first == NULL ? CLOCK_NEVER : first->key;

	if (fiber_any_ready() || !list_empty(&state.soon) ||
	    deadline_left_ms(deadline) == 0) {
		(void)uv_run(&state.uv, UV_RUN_NOWAIT);
		return;
	}
	if (first == NULL && state.sources == 0 && state.wakers == 0)
		fiber_panic_stuck();
	set_wake(deadline);
	(void)uv_run(&state.uv, UV_RUN_ONCE);
}

void run_loop(void)
{
	ENSURE(state.ready && !state.running && fiber_self() == NULL);
	state.running = true;
	state.stop = false;
	for (;;) {
		fire_deadlines();
		run_soon_callbacks();
		fiber_run_ready();
		call_hooks();
		if (state.stop || !anything_left())
			break;
		wait_for_events();
	}
	state.running = false;
}

void run_stop(void)
{
	state.stop = true;
}

struct main_fiber {
	void (*body)(void *);
	void *argument;
};

static void main_fiber(void *argument)
{
	struct main_fiber *m = argument;

	m->body(m->argument);
	run_stop();
}

void run_main(void (*body)(void *), void *argument)
{
	struct main_fiber m = {body, argument};

	run_init();
	if (fiber_start("main", main_fiber, &m) != 0)
		fatal("no memory for a stack");
	run_loop();
}

void run_before_wait(int rank, void (*hook)(void))
{
	size_t at = state.hook_count++;

	ENSURE(state.hook_count <= ARRAY_SIZE(state.hooks));
	for (; at > 0 && state.hooks[at - 1].rank > rank; at--)
		state.hooks[at] = state.hooks[at - 1];
	state.hooks[at] = (struct hook){rank, hook};
}

static void fire_timer(struct run_deadline *d)
{
	struct run_timer *t = CONTAINER_OF(d, struct run_timer, deadline);

	t->callback(t->argument);
}

struct run_timer *run_timer_new(void (*callback)(void *), void *argument)
{
	struct run_timer *t = memory_alloc(sizeof(*t));

	t->deadline.fire = fire_timer;
	t->callback = callback;
	t->argument = argument;
	return t;
}

void run_timer_set(struct run_timer *t, int64_t deadline)
{
	run_deadline_set(&t->deadline, deadline);
}

void run_timer_free(struct run_timer *t)
{
	if (t == NULL)
		return;
	run_deadline_clear(&t->deadline);
	free(t);
}

void run_soon(void (*callback)(void *), void *argument)
{
	struct soon *s = memory_alloc(sizeof(*s));

	s->callback = callback;
	s->argument = argument;
	list_append(&state.soon, &s->link);
}
