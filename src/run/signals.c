#include "run/signals.h"

#include <signal.h>

#include "base/memory.h"
#include "base/panic.h"
#include "run/schedule.h"

#define SIGNALS 65

static struct {
	uv_signal_t *watch;
	void (*handler)(int);
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

void run_ignore_sigpipe(void)
{
	ENSURE(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}
