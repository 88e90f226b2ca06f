/*
 * Fibers: straight-line code for one client, one stack each (64 KB, 256 KB under
 * sanitizers, with a guard page below). All fibers of a process run on its one loop
 * thread; a switch happens only where a function here, or one built on it, says that it
 * waits. Between two waits nothing else of the process runs, so no locks are needed.
 *
 * Never wait between an OpenSSL call and reading its error. Never keep a pointer to
 * another fiber's stack across a wait unless that fiber surely outlives it.
 */
#ifndef RUN_FIBER_H
#define RUN_FIBER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"
#include "base/clock.h"
#include "base/list.h"

struct fiber;

/*
 * Starts body(argument) in a fiber of its own at the next turn of the loop. `name` is for
 * panics and must outlive it (a literal). Stacks are pooled. 0, or -EAGAIN when no stack
 * can be had.
 */
MUST_USE int fiber_start(const char *name, void (*body)(void *), void *argument);

struct fiber *fiber_self(void); /* NULL on the main stack */
size_t fiber_count(void);       /* fibers alive */

enum fiber_wait { FIBER_WOKEN, FIBER_TIMEOUT };
/*
 * Sleeps until fiber_wake or the deadline. A wake before the sleep is not remembered:
 * test the condition, then sleep; nothing runs in between.
 */
enum fiber_wait fiber_sleep_until(int64_t deadline);
void fiber_sleep_ms(int64_t milliseconds);
/* Lets every other ready fiber and the loop run once. */
void fiber_yield(void);
/* Makes a sleeping fiber ready. From fibers or loop callbacks of this thread only. */
void fiber_wake(struct fiber *f);

/* A place where several fibers wait for a condition; first come, first woken. */
struct fiber_queue {
	struct list_link waiters;
};
void fiber_queue_init(struct fiber_queue *q);
enum fiber_wait fiber_queue_wait(struct fiber_queue *q, int64_t deadline);
void fiber_queue_wake_one(struct fiber_queue *q);
void fiber_queue_wake_all(struct fiber_queue *q);
bool fiber_queue_empty(const struct fiber_queue *q);

/* Bytes of stack the deepest fiber so far has used (tests assert it). */
size_t fiber_stack_high_water(void);
size_t fiber_stack_size(void);

#endif
