#include "base/panic.h"

#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/log.h"

static struct {
	void (*last_words[8])(void);
	unsigned count;
	int exit_status;
	bool dying;
} state = {.exit_status = 1};

void panic_last_words(void (*function)(void))
{
	ENSURE(state.count < ARRAY_SIZE(state.last_words));
	state.last_words[state.count++] = function;
}

void fatal_exit_status(int status)
{
	state.exit_status = status;
}

/* Trouble while dying (in the log, in the last words) must not start over. */
static void begin_dying(int status)
{
	static const char text[] = "fatal: trouble while reporting trouble\n";

	if (state.dying) {
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		_exit(status);
	}
	state.dying = true;
}

static void end_words(void)
{
	log_flush();
	for (unsigned i = 0; i < state.count; i++)
		state.last_words[i]();
}

void panic_at(const char *file, int line, const char *format, ...)
{
	char text[1024];
	va_list args;

	begin_dying(134);
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line(LOG_LEVEL_PANIC, "%s:%d: %s", file, line, text);
	end_words();
	abort();
}

void fatal(const char *format, ...)
{
	va_list args;

	begin_dying(state.exit_status);
	va_start(args, format);
	log_line_v(LOG_LEVEL_FATAL, format, args);
	va_end(args);
	end_words();
	exit(state.exit_status);
}
