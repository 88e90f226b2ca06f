#include "run/fiber.h"

#include <errno.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/annotate.h"
#include "run/schedule.h"
#include "run/stack.h"
#include "run/switch.h"

#define ROUNDS_PER_TURN 32

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_SLEEPING, FIBER_ENDED };

struct fiber {
	struct switch_context context;
	struct annotate_stack annotation;
	void *stack;
	const char *name;
	void (*body)(void *);
	void *argument;
	enum fiber_state state;
	enum fiber_wait outcome;
	struct run_deadline deadline;
	struct list_link link; /* ready or yielded */
	struct list_link all;
};

static struct {
	struct fiber *current;
	struct list_link ready, yielded, all;
	size_t count;
	struct switch_context main_context;
	struct annotate_stack main_annotation;
} state = {
    .ready = LIST_INIT(state.ready),
    .yielded = LIST_INIT(state.yielded),
    .all = LIST_INIT(state.all),
};

struct fiber *fiber_self(void)
{
	return state.current;
}

size_t fiber_count(void)
{
	return state.count;
}

static void make_ready(struct fiber *f, enum fiber_wait outcome)
{
	f->state = FIBER_READY;
	f->outcome = outcome;
	run_deadline_clear(&f->deadline);
	list_append(&state.ready, &f->link);
}

static void at_deadline(struct run_deadline *d)
{
	make_ready(CONTAINER_OF(d, struct fiber, deadline), FIBER_TIMEOUT);
}

static void leave(struct fiber *f)
{
	annotate_leave(&f->annotation, &state.main_annotation, f->state == FIBER_ENDED);
	switch_to(&f->context, &state.main_context);
	annotate_arrive(&f->annotation, &state.main_annotation);
}

static void first_function(void)
{
	struct fiber *f = state.current;

	annotate_arrive(&f->annotation, &state.main_annotation);
	f->body(f->argument);
	f->state = FIBER_ENDED;
	leave(f);
	panic("fiber %s runs after its end", f->name);
}

static void bury(struct fiber *f)
{
	list_remove(&f->all);
	state.count--;
	annotate_end(&f->annotation);
	stack_give_back(f->stack);
	free(f);
}

static void resume(struct fiber *f)
{
	struct annotate_stack ignored = {0};

	list_remove(&f->link);
	f->state = FIBER_RUNNING;
	state.current = f;
	annotate_leave(&state.main_annotation, &f->annotation, false);
	switch_to(&state.main_context, &f->context);
	annotate_arrive(&state.main_annotation, &ignored);
	state.current = NULL;
	if (f->state == FIBER_ENDED)
		bury(f);
}

int fiber_start(const char *name, void (*body)(void *), void *argument)
{
	void *stack = stack_take();
	struct fiber *f;

	if (stack == NULL)
		return -EAGAIN;
	f = memory_alloc(sizeof(*f));
	f->stack = stack;
	f->name = name;
	f->body = body;
	f->argument = argument;
	f->deadline.fire = at_deadline;
	annotate_begin(&f->annotation, stack, stack_size());
	switch_prepare(&f->context, stack, stack_size(), first_function);
	list_init(&f->link);
	list_append(&state.all, &f->all);
	state.count++;
	make_ready(f, FIBER_WOKEN);
	return 0;
}

enum fiber_wait fiber_sleep_until(int64_t deadline)
{
	struct fiber *f = state.current;

	ENSURE(f != NULL);
	f->state = FIBER_SLEEPING;
	run_deadline_set(&f->deadline, deadline);
	leave(f);
	return f->outcome;
}

void fiber_sleep_ms(int64_t milliseconds)
{
	int64_t deadline = deadline_after_ms(milliseconds);

	while (fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
}

void fiber_yield(void)
{
	struct fiber *f = state.current;

	ENSURE(f != NULL);
	f->state = FIBER_READY;
	list_append(&state.yielded, &f->link);
	leave(f);
}

void fiber_wake(struct fiber *f)
{
	if (f->state == FIBER_SLEEPING)
		make_ready(f, FIBER_WOKEN);
}

bool fiber_any_ready(void)
{
	return !list_empty(&state.ready) || !list_empty(&state.yielded);
}

/* All members of `from` go to the end of `to`. */
static void move_all(struct list_link *from, struct list_link *to)
{
	while (!list_empty(from)) {
		struct list_link *l = from->next;
		list_remove(l);
		list_append(to, l);
	}
}

void fiber_run_ready(void)
{
	struct list_link batch = LIST_INIT(batch);

	/* Those that yielded last turn come after all others. */
	move_all(&state.yielded, &state.ready);
	for (int round = 0; round < ROUNDS_PER_TURN && !list_empty(&state.ready);
	     round++) {
		move_all(&state.ready, &batch);
		while (!list_empty(&batch))
			resume(LIST_FIRST(&batch, struct fiber, link));
	}
}

void fiber_panic_stuck(void)
{
	struct fiber *f = LIST_FIRST(&state.all, struct fiber, all);

	panic(
	    "%zu fibers wait and nothing can wake them; one is %s", state.count, f->name);
}

void fiber_say_last_words(void)
{
	if (state.current == NULL)
		return;
	log_info("this happened in fiber \"%s\"", state.current->name);
	log_flush();
}

struct waiter {
	struct list_link link;
	struct fiber *fiber;
	bool woken;
};

void fiber_queue_init(struct fiber_queue *q)
{
	list_init(&q->waiters);
}

enum fiber_wait fiber_queue_wait(struct fiber_queue *q, int64_t deadline)
{
	struct waiter self = {.fiber = state.current};

	list_append(&q->waiters, &self.link);
	while (!self.woken && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	list_remove(&self.link);
	/* A wake that met a fiber whose deadline had just passed is its, and is not lost.
	 */
	return self.woken ? FIBER_WOKEN : FIBER_TIMEOUT;
}

void fiber_queue_wake_one(struct fiber_queue *q)
{
	struct waiter *first = LIST_FIRST(&q->waiters, struct waiter, link);

	if (first == NULL)
		return;
	list_remove(&first->link);
	first->woken = true;
	fiber_wake(first->fiber);
}

void fiber_queue_wake_all(struct fiber_queue *q)
{
	while (!fiber_queue_empty(q))
		fiber_queue_wake_one(q);
}

bool fiber_queue_empty(const struct fiber_queue *q)
{
	return list_empty(&q->waiters);
}

size_t fiber_stack_high_water(void)
{
	size_t deepest = stack_deepest();
	struct fiber *f;

	LIST_FOREACH (f, &state.all, struct fiber, all) {
		size_t depth = stack_depth(f->stack);
		if (depth > deepest)
			deepest = depth;
	}
	return deepest;
}

size_t fiber_stack_size(void)
{
	return stack_size();
}
