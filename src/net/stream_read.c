#include "net/stream_private.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/panic.h"

static ssize_t read_once(struct stream *s, void *bytes, size_t len)
{
	for (;;) {
		int error = fault_hit(FAULT_RECEIVE);
		ssize_t got = error != 0 ? -1 : read(s->fd, bytes, len);

		if (got >= 0)
			return got;
		error = error != 0 ? error : errno;
		if (error != EINTR)
			return -error;
	}
}

static ssize_t read_socket(struct stream *s, void *bytes, size_t len)
{
	int result = stream_breathe(s);
	bool look = s->drained && stream_left_ms(s) == 0;

	while (result == 0) {
		ssize_t got;

		if (s->drained && !look) {
			if (s->no_wait)
				return -EAGAIN;
			result = stream_wait_readable(s);
			continue;
		}
		look = false;
		got = read_once(s, bytes, len);
		if (got == 0)
			return STREAM_EOF;
		s->drained = got == -EAGAIN || (got > 0 && (size_t)got < len);
		if (got > 0) {
			stream_moved(s, (size_t)got);
			return got;
		}
		if (got != -EAGAIN)
			result = stream_fail(s, (int)got);
	}
	return result;
}

static size_t take_bytes(struct chunk *c, void *bytes, size_t len)
{
	if (len > stream_chunk_held(c))
		len = stream_chunk_held(c);
	if (len == 0)
		return 0;
	memcpy(bytes, c->bytes + c->at, len);
	c->at += len;
	return len;
}

ssize_t stream_raw_read(struct stream *s, void *bytes, size_t len)
{
	/* Before the filter is pushed (a handshake), the buffer holds raw bytes. */
	size_t taken = take_bytes(s->filter == NULL ? s->in : s->below, bytes, len);

	if (taken > 0)
		return (ssize_t)taken;
	stream_chunk_drop(&s->below);
	return read_socket(s, bytes, len);
}

/* From the filter or the socket. -EAGAIN, which is not sticky, only with no_wait. */
static ssize_t read_below(struct stream *s, void *bytes, size_t len)
{
	ssize_t got;

	if (s->filter == NULL)
		return read_socket(s, bytes, len);
	got = s->filter->read(s->filter_state, s, bytes, len);
	if (got == 0)
		return STREAM_EOF;
	if (got < 0 && got != STREAM_EOF && got != -EAGAIN)
		return stream_fail(s, (int)got);
	return got;
}

static void make_room(struct stream *s)
{
	struct chunk *c = s->in;

	if (c == NULL) {
		s->in = stream_chunk_take();
	} else if (c->at == c->end) {
		c->at = c->end = 0;
	} else if (c->end == STREAM_BUFFER && c->at > 0) {
		memmove(c->bytes, c->bytes + c->at, c->end - c->at);
		c->end -= c->at;
		c->at = 0;
	}
}

/* Reads more into the buffer; while it waits with nothing to hold, it holds no buffer. */
static int fill(struct stream *s)
{
	for (;;) {
		ssize_t got;

		if (s->error != 0)
			return s->error;
		make_room(s);
		s->no_wait = true;
		got =
		    read_below(s, s->in->bytes + s->in->end, STREAM_BUFFER - s->in->end);
		s->no_wait = false;
		if (got > 0) {
			s->in->end += (size_t)got;
			return 0;
		}
		if (stream_chunk_held(s->in) == 0)
			stream_chunk_drop(&s->in);
		if (got != -EAGAIN)
			return (int)got;
		if (stream_wait_readable(s) != 0)
			return s->error;
	}
}

ssize_t stream_read_line(struct stream *s, struct buf *line, size_t max, bool *cut_r)
{
	ENSURE(line->ceiling > max);
	buf_clear(line);
	*cut_r = false;
	for (;;) {
		struct chunk *c = s->in;
		size_t room = max - line->len + 1; /* the LF may come after max bytes */
		size_t have = stream_chunk_held(c), len = have < room ? have : room;
		const char *lf = len == 0 ? NULL : memchr(c->bytes + c->at, '\n', len);
		int result;

		if (lf != NULL)
			len = (size_t)(lf - (c->bytes + c->at)) + 1;
		else if (len == room)
			len = room - 1;
		if (len > 0)
			buf_add(line, c->bytes + c->at, len);
		if (c != NULL)
			c->at += len;
		if (lf != NULL)
			return (ssize_t)line->len;
		*cut_r = have >= room;
		if (*cut_r)
			return (ssize_t)line->len;
		result = fill(s);
		if (result != 0)
			return result;
	}
}

ssize_t stream_read_some(struct stream *s, void *bytes, size_t len)
{
	int result = 0;

	if (stream_chunk_held(s->in) == 0 && len >= STREAM_BUFFER / 4) {
		stream_chunk_drop(&s->in);
		return s->error != 0 ? s->error : read_below(s, bytes, len);
	}
	if (stream_chunk_held(s->in) == 0)
		result = fill(s);
	return result != 0 ? result : (ssize_t)take_bytes(s->in, bytes, len);
}

int stream_read_exact(struct stream *s, void *bytes, size_t len)
{
	char *p = bytes;

	while (len > 0) {
		ssize_t got = stream_read_some(s, p, len);
		if (got < 0)
			return (int)got;
		p += got;
		len -= (size_t)got;
	}
	return 0;
}

ssize_t stream_peek(struct stream *s, size_t at_least, const char **bytes_r)
{
	ENSURE(at_least <= STREAM_BUFFER);
	while (stream_chunk_held(s->in) < at_least) {
		/* What is there must move to the front when the rest would not fit. */
		int result;
		if (s->in != NULL && s->in->at + at_least > STREAM_BUFFER) {
			memmove(s->in->bytes, s->in->bytes + s->in->at,
			    stream_chunk_held(s->in));
			s->in->end -= s->in->at;
			s->in->at = 0;
		}
		result = fill(s);
		if (result != 0)
			return result;
	}
	*bytes_r = s->in == NULL ? "" : s->in->bytes + s->in->at;
	return (ssize_t)stream_chunk_held(s->in);
}

void stream_skip(struct stream *s, size_t count)
{
	ENSURE(count <= stream_chunk_held(s->in));
	if (count > 0)
		s->in->at += count;
}

size_t stream_pending(struct stream *s, bool look)
{
	size_t pending = stream_chunk_held(s->in) + stream_chunk_held(s->below);
	int waiting = 0;

	if (s->filter != NULL && s->filter->pending != NULL)
		pending += s->filter->pending(s->filter_state);
	if (look && ioctl(s->fd, FIONREAD, &waiting) == 0 && waiting > 0)
		pending += (size_t)waiting;
	return pending;
}

bool stream_is_drained(const struct stream *s)
{
	return s->drained;
}

bool stream_is_quiet(struct stream *s)
{
	char byte;

	/* Bytes in the kernel show in the same look as the end of the connection. */
	if (stream_error(s) != 0 || stream_pending(s, false) > 0)
		return false;
	return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK);
}

void stream_discard_input(struct stream *s)
{
	stream_chunk_drop(&s->in);
}
