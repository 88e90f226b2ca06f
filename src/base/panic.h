/*
 * The end of a process: a broken invariant (panic, ENSURE), or a process that cannot do
 * its work (fatal). Both write one log line, run the registered last words (the log is
 * flushed), and do not return. System trouble that a caller can handle is never reported
 * here: low layers return -errno.
 */
#ifndef BASE_PANIC_H
#define BASE_PANIC_H

#include "base/attributes.h"

/* Logs "panic: FILE:LINE: text" and aborts, for a core file. Always compiled in. */
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
NORETURN void panic_at(const char *file, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* A broken invariant ends the process; the master starts another. */
#define ENSURE(condition)                                          \
	do {                                                       \
		if (!(condition))                                  \
			panic("broken invariant: %s", #condition); \
	} while (0)

/*
 * Logs "fatal: text" and exits with the status set by fatal_exit_status (1 at first, as
 * daemons have it; sendmail sets 75, postqueue 69). Only for programs and src/service.
 */
NORETURN void fatal(const char *format, ...) PRINTF_LIKE(1, 2);
void fatal_exit_status(int status);

/* Called once, in the dying process, after the last line was logged. At most 8. */
void panic_last_words(void (*function)(void));

#endif
