/* Signals as loop events: handlers run on the main stack, never in signal context. */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

#include "base/attributes.h"

/* Replaces an earlier handler for the same signal; NULL restores the default. SIGCHLD
 * belongs to child.h. */
void run_on_signal(int number, void (*handler)(int number));
void run_ignore_sigpipe(void);

#endif
