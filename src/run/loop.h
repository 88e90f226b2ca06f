/*
 * The event loop of a daemon (libuv, which no header shows). run_init, start fibers,
 * run_loop. A loop turn: ready fibers run until each waits; then the before-wait hooks
 * (log flush first, frame flush after it); then the loop waits for events.
 */
#ifndef RUN_LOOP_H
#define RUN_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"

void run_init(void); /* once, before any other call of src/run; fatal on failure */
/* Until run_stop was called, or no fiber and no watch or timer is left. */
void run_loop(void);
void run_stop(void);
/* For tests and commands: starts body in a fiber, loops until it returned, stops. */
void run_main(void (*body)(void *), void *argument);

/* Called at the end of each turn, in the order of `rank` (log 0, frames 10). */
void run_before_wait(int rank, void (*hook)(void));

/* A timer on the loop; the callback runs on the main stack and must not wait. */
struct run_timer;
struct run_timer *run_timer_new(void (*callback)(void *), void *argument);
void run_timer_set(struct run_timer *t, int64_t deadline); /* replaces; NEVER = off */
void run_timer_free(struct run_timer *t);                  /* NULL is fine */

/* Runs the callback on the main stack at the next turn. */
void run_soon(void (*callback)(void *), void *argument);

#endif
