#include "net/stream_private.h"

#include <errno.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/panic.h"

static ssize_t write_once(struct stream *s, const void *bytes, size_t len)
{
	ssize_t done;

	if (!s->not_a_socket) {
		done = send(s->fd, bytes, len, MSG_NOSIGNAL | (s->closes ? MSG_MORE : 0));
		if (done >= 0 || errno != ENOTSOCK)
			return done;
		s->not_a_socket = true;
	}
	return write(s->fd, bytes, len);
}

ssize_t stream_raw_write(struct stream *s, const void *bytes, size_t len)
{
	const char *p = bytes;
	size_t left = len;
	int result = stream_breathe(s);

	while (result == 0 && left > 0) {
		int error = fault_hit(FAULT_SEND);
		ssize_t done = error != 0 ? -1 : write_once(s, p, left);

		if (done >= 0) {
			stream_moved(s, (size_t)done);
			p += done;
			left -= (size_t)done;
			continue;
		}
		error = error != 0 ? error : errno;
		if (error == EAGAIN)
			result = stream_wait_writable(s);
		else if (error != EINTR)
			result = stream_fail(s, -error);
	}
	return result != 0 ? result : (ssize_t)len;
}

/* All of it, through the filter. */
static int write_below(struct stream *s, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t done = s->filter == NULL
		    ? stream_raw_write(s, bytes, len)
		    : s->filter->write(s->filter_state, s, bytes, len);
		if (done < 0)
			return stream_fail(s, (int)done);
		ENSURE(done > 0 && (size_t)done <= len);
		bytes += done;
		len -= (size_t)done;
	}
	return 0;
}

int stream_flush(struct stream *s)
{
	int result;

	if (s->error != 0)
		return s->error;
	if (stream_chunk_held(s->out) == 0)
		return 0;
	result = write_below(s, s->out->bytes, s->out->end);
	stream_chunk_drop(&s->out);
	return result;
}

int stream_flush_last(struct stream *s)
{
	/* With unread bytes the close would be a reset, which takes along what waits. */
	s->closes = s->filter == NULL && s->drained && stream_pending(s, false) == 0;
	return stream_flush(s);
}

int stream_write(struct stream *s, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		size_t room;

		if (s->error != 0)
			return s->error;
		if (stream_chunk_held(s->out) == 0 && len >= STREAM_BUFFER)
			return write_below(s, p, len);
		if (s->out == NULL)
			s->out = stream_chunk_take();
		room = STREAM_BUFFER - s->out->end;
		if (room > len)
			room = len;
		memcpy(s->out->bytes + s->out->end, p, room);
		s->out->end += room;
		p += room;
		len -= room;
		if (s->out->end == STREAM_BUFFER && stream_flush(s) != 0)
			return s->error;
	}
	return s->error;
}

int stream_write_str(struct stream *s, struct str text)
{
	return stream_write(s, text.p, text.len);
}

/* Into the buffer when it fits there; else by way of a longer one. */
static int print(struct stream *s, const char *format, va_list args)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(INT32_MAX);
	size_t room;
	va_list again;
	int made;

	if (s->out == NULL)
		s->out = stream_chunk_take();
	room = STREAM_BUFFER - s->out->end;
	va_copy(again, args);
	made = vsnprintf(s->out->bytes + s->out->end, room, format, again);
	va_end(again);
	ENSURE(made >= 0);
	if ((size_t)made < room) {
		s->out->end += (size_t)made;
		return 0;
	}
	buf_vprintf(&text, format, args);
	return stream_write(s, text.p, text.len);
}

int stream_printf(struct stream *s, const char *format, ...)
{
	va_list args;
	int result;

	if (s->error != 0)
		return s->error;
	va_start(args, format);
	result = print(s, format, args);
	va_end(args);
	return result;
}

size_t stream_unflushed(const struct stream *s)
{
	return stream_chunk_held(s->out);
}
