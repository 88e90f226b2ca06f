#include "net/stream.h"

#include "net/stream_private.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/fiber.h"

/* Calls in a row that did not have to wait: then others get their turn. */
#define BURST 32

struct stream *stream_new(int fd)
{
	struct stream *s = memory_alloc(sizeof(*s));

	s->fd = fd;
	s->deadline = CLOCK_NEVER;
	s->watch = run_watch_new(fd);
	return s;
}

void stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->filter != NULL && s->filter->free != NULL)
		s->filter->free(s->filter_state);
	run_watch_free(s->watch);
	stream_chunk_drop(&s->in);
	stream_chunk_drop(&s->out);
	stream_chunk_drop(&s->below);
	(void)close(s->fd);
	free(s);
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

void stream_set_deadline(struct stream *s, int64_t deadline)
{
	s->deadline = deadline;
	s->limit_ms = 0;
}

void stream_set_limit(struct stream *s, int64_t milliseconds, int64_t least_rate)
{
	ENSURE(milliseconds > 0 && least_rate >= 0);
	s->limit_ms = s->left_ms = milliseconds;
	s->least_rate = least_rate;
	s->unpaid = 0;
}

int64_t stream_left_ms(const struct stream *s)
{
	return s->limit_ms > 0 ? s->left_ms : deadline_left_ms(s->deadline);
}

void stream_moved(struct stream *s, size_t bytes)
{
	if (s->limit_ms == 0)
		return;
	if (s->least_rate == STREAM_EACH_ANEW) {
		s->left_ms = s->limit_ms;
		return;
	}
	s->unpaid += (int64_t)bytes * 1000;
	s->left_ms += s->unpaid / s->least_rate;
	s->unpaid %= s->least_rate;
	if (s->left_ms > s->limit_ms)
		s->left_ms = s->limit_ms;
}

int stream_error(const struct stream *s)
{
	return s->error;
}

int stream_fail(struct stream *s, int error)
{
	if (s->error == 0)
		s->error = error;
	return s->error;
}

/* Past the deadline nobody waits, however soon the peer would be ready. */
static int wait_for(struct stream *s, int (*wait)(struct run_watch *w, int64_t deadline))
{
	int64_t began = s->limit_ms > 0 ? clock_ms() : 0;
	int result;

	s->burst = 0;
	if (stream_left_ms(s) == 0)
		return stream_fail(s, -ETIMEDOUT);
	if (s->limit_ms > 0)
		s->deadline = began + s->left_ms;
	result = wait(s->watch, s->deadline);
	if (s->limit_ms > 0)
		s->left_ms = deadline_left_ms(began + s->left_ms);
	return result == 0 ? s->error : stream_fail(s, result);
}

int stream_wait_readable(struct stream *s)
{
	int result = wait_for(s, run_wait_readable);

	s->drained = false;
	return result;
}

int stream_wait_writable(struct stream *s)
{
	return wait_for(s, run_wait_writable);
}

int stream_breathe(struct stream *s)
{
	if (++s->burst < BURST)
		return s->error;
	s->burst = 0;
	fiber_yield();
	if (stream_left_ms(s) == 0)
		return stream_fail(s, -ETIMEDOUT);
	return s->error;
}

void stream_push_filter(struct stream *s, const struct stream_filter *filter, void *state)
{
	ENSURE(s->filter == NULL && stream_chunk_held(s->out) == 0);
	s->filter = filter;
	s->filter_state = state;
	s->below = s->in;
	s->in = NULL;
}
