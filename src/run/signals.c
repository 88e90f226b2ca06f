#include "run/signals.h"

#include <signal.h>

#include "base/memory.h"
#include "base/panic.h"
#include "run/schedule.h"

#define SIGNALS 65

static struct {
	uv_signal_t *watch;
	void (*handler)(int);
	bool touched; /* its disposition may not be the default */
} signals[SIGNALS];

static void on_signal(UNUSED uv_signal_t *watch, int number)
{
	if (signals[number].handler != NULL)
		signals[number].handler(number);
}

static void after_close(uv_handle_t *handle)
{
	free(handle);
}

void run_on_signal(int number, void (*handler)(int number))
{
	uv_signal_t *watch;

	ENSURE(number > 0 && number < SIGNALS);
	signals[number].handler = handler;
	signals[number].touched = true;
	watch = signals[number].watch;
	if (handler == NULL && watch != NULL) {
		signals[number].watch = NULL;
		uv_close((uv_handle_t *)watch, after_close);
		run_count_waker(-1);
	}
	if (handler == NULL || watch != NULL)
		return;
	watch = memory_alloc(sizeof(*watch));
	run_uv_check("uv_signal_init", uv_signal_init(run_uv(), watch));
	run_uv_check("uv_signal_start", uv_signal_start(watch, on_signal, number));
	signals[number].watch = watch;
	run_count_waker(1);
}

void run_ignore_signal(int number)
{
	ENSURE(number > 0 && number < SIGNALS);
	signals[number].touched = true;
	ENSURE(signal(number, SIG_IGN) != SIG_ERR);
}

/* SIG_IGN is inherited through exec. */
void run_signals_look(void)
{
	static bool done;
	struct sigaction now;

	for (int number = 1; !done && number < SIGNALS; number++)
		if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
			signals[number].touched = true;
	done = true;
}

void run_signals_reset(void)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < SIGNALS; number++)
		if (signals[number].touched)
			(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
