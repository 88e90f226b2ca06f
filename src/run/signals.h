/*
 * Signals as loop events: handlers run on the main stack, never in signal context. A
 * program that starts children sets its signals here and nowhere else: what was set here
 * is what a child sets back.
 */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

#include "base/attributes.h"

/* Replaces an earlier handler for the same signal; NULL restores the default. SIGCHLD
 * belongs to child.h. */
void run_on_signal(int number, void (*handler)(int number));
void run_ignore_signal(int number);

#endif
