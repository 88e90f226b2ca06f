#include "run/wait.h"

#include <errno.h>

#include "base/memory.h"
#include "base/panic.h"
#include "run/schedule.h"

/* A fiber that waits for one direction; on its stack. */
struct waiter {
	struct fiber *fiber;
	bool woken;
};

struct run_watch {
	uv_poll_t poll;
	int fd;
	bool opened;    /* libuv knows the descriptor */
	bool unwatched; /* libuv cannot watch it: a file, always ready */
	bool canceled;
	int active; /* the events that are watched now */
	struct waiter *reader, *writer;
	void (*callback)(void *);
	void *argument;
};

struct run_watch *run_watch_new(int fd)
{
	struct run_watch *w = memory_alloc(sizeof(*w));

	w->fd = fd;
	w->poll.data = w;
	return w;
}

static void after_close(uv_handle_t *handle)
{
	free(handle->data);
}

void run_watch_free(struct run_watch *w)
{
	if (w == NULL)
		return;
	ENSURE(w->reader == NULL && w->writer == NULL);
	run_watch_on_readable(w, NULL, NULL);
	if (w->opened)
		uv_close((uv_handle_t *)&w->poll, after_close);
	else
		free(w);
}

static int wanted(const struct run_watch *w)
{
	return (w->reader != NULL || w->callback != NULL ? UV_READABLE : 0) |
	    (w->writer != NULL ? UV_WRITABLE : 0);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct run_watch *w, int events)
{
	if (events == w->active)
		return;
	w->active = events;
	if (events == 0)
		(void)uv_poll_stop(&w->poll);
	else
		run_uv_check("uv_poll_start", uv_poll_start(&w->poll, events, on_ready));
}

static void wake(struct waiter *waiter)
{
	if (waiter == NULL)
		return;
	waiter->woken = true;
	fiber_wake(waiter->fiber);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct run_watch *w = poll->data;

	if (status <
	    0) { /* an error: libuv has stopped the watch; the next call shows it */
		w->active = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	/* Events that nobody waits for would be reported again and again. */
	watch(w, w->active & ~(events & ~wanted(w)));
	if ((events & UV_WRITABLE) != 0)
		wake(w->writer);
	if ((events & UV_READABLE) == 0)
		return;
	wake(w->reader);
	if (w->callback != NULL)
		w->callback(w->argument);
}

/* Starts watching for all that is wanted; what is watched already stays. */
static void begin(struct run_watch *w)
{
	int result;

	if (w->unwatched)
		return;
	if (!w->opened) {
		result = uv_poll_init(run_uv(), &w->poll, w->fd);
		if (result == UV_EPERM) {
			w->unwatched = true;
			return;
		}
		run_uv_check("uv_poll_init", result);
		w->opened = true;
	}
	watch(w, w->active | wanted(w));
}

static int wait_for(struct run_watch *w, struct waiter **place, int64_t deadline)
{
	struct waiter self = {.fiber = fiber_self()};

	ENSURE(self.fiber != NULL && *place == NULL);
	if (w->canceled)
		return -ECANCELED;
	*place = &self;
	begin(w);
	if (w->unwatched) {
		*place = NULL;
		fiber_yield();
		return 0;
	}
	run_count_waker(1);
	while (!self.woken && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	run_count_waker(-1);
	*place = NULL;
	if (w->canceled)
		return -ECANCELED;
	return self.woken ? 0 : -ETIMEDOUT;
}

int run_wait_readable(struct run_watch *w, int64_t deadline)
{
	return wait_for(w, &w->reader, deadline);
}

int run_wait_writable(struct run_watch *w, int64_t deadline)
{
	return wait_for(w, &w->writer, deadline);
}

void run_watch_cancel(struct run_watch *w)
{
	w->canceled = true;
	wake(w->reader);
	wake(w->writer);
}

void run_watch_on_readable(struct run_watch *w, void (*callback)(void *), void *argument)
{
	run_count_source((callback != NULL) - (w->callback != NULL));
	w->callback = callback;
	w->argument = argument;
	if (callback != NULL)
		begin(w);
	else if (w->active != 0)
		watch(w, wanted(w));
}
