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

struct side {
	struct waiter *waiter;
	void (*callback)(void *);
	void *argument;
};

struct run_watch {
	uv_poll_t poll;
	int fd;
	bool opened;    /* libuv knows the descriptor */
	bool unwatched; /* libuv cannot watch it: a file, always ready */
	bool canceled;
	int active; /* the events that are watched now */
	struct side read, write;
	bool *freed; /* set by run_watch_free while a callback runs */
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
	ENSURE(w->read.waiter == NULL && w->write.waiter == NULL);
	if (w->opened)
		w->active = 0; /* uv_close stops what is watched */
	run_watch_on_readable(w, NULL, NULL);
	run_watch_on_writable(w, NULL, NULL);
	if (w->freed != NULL)
		*w->freed = true;
	if (w->opened)
		uv_close((uv_handle_t *)&w->poll, after_close);
	else
		free(w);
}

static int wanted(const struct run_watch *w)
{
	bool to_read = w->read.waiter != NULL || w->read.callback != NULL;
	bool to_write = w->write.waiter != NULL || w->write.callback != NULL;

	return (to_read ? UV_READABLE : 0) | (to_write ? UV_WRITABLE : 0);
}

static int called_back(const struct run_watch *w)
{
	return (w->read.callback != NULL ? UV_READABLE : 0) |
	    (w->write.callback != NULL ? UV_WRITABLE : 0);
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
	bool freed = false;

	if (status < 0) {
		/* An error: libuv has stopped the watch; the next call on it shows it. */
		w->active = 0;
		events = UV_READABLE | UV_WRITABLE;
		watch(w, called_back(w));
	} else {
		/* Events that nobody waits for would be reported again and again. */
		watch(w, w->active & ~(events & ~wanted(w)));
	}
	if ((events & UV_WRITABLE) != 0)
		wake(w->write.waiter);
	if ((events & UV_READABLE) != 0)
		wake(w->read.waiter);
	w->freed = &freed;
	if ((events & UV_WRITABLE) != 0 && w->write.callback != NULL)
		w->write.callback(w->write.argument);
	if (!freed && (events & UV_READABLE) != 0 && w->read.callback != NULL)
		w->read.callback(w->read.argument);
	if (!freed)
		w->freed = NULL;
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
	return wait_for(w, &w->read.waiter, deadline);
}

int run_wait_writable(struct run_watch *w, int64_t deadline)
{
	return wait_for(w, &w->write.waiter, deadline);
}

void run_watch_cancel(struct run_watch *w)
{
	w->canceled = true;
	wake(w->read.waiter);
	wake(w->write.waiter);
}

static void set_callback(
    struct run_watch *w, struct side *side, void (*callback)(void *), void *argument)
{
	run_count_source((callback != NULL) - (side->callback != NULL));
	side->callback = callback;
	side->argument = argument;
	if (callback != NULL)
		begin(w);
	else if (w->active != 0)
		watch(w, w->active & wanted(w));
}

void run_watch_on_readable(struct run_watch *w, void (*callback)(void *), void *argument)
{
	set_callback(w, &w->read, callback, argument);
}

void run_watch_on_writable(struct run_watch *w, void (*callback)(void *), void *argument)
{
	set_callback(w, &w->write, callback, argument);
}
