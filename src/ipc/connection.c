#include "ipc/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "ipc/little_endian.h"
#include "run/loop.h"
#include "run/wait.h"

#define READ_SIZE      (256u * 1024)
#define KEEP_BUFFER    (64u * 1024) /* larger empty buffers are given back */
#define OUT_MAX        (1u << 30)   /* never reached: windows bound what waits */
#define OUT_PAUSE      (1u << 20)   /* a server stops reading from a peer that does not */
#define WRITE_STALL_MS 100000
#define RANK_FRAMES    10

/*
 * Shared by all connections of the process: reading runs to its end without a wait, so
 * one buffer is enough, and idle connections hold none.
 */
static struct {
	struct list_link dirty;
	char *read_buffer;
	uint64_t last_id;
	bool started;
} ipc;

static void flush(struct connection *c);

void ipc_flush(void)
{
	while (ipc.started && !list_empty(&ipc.dirty)) {
		struct connection *c = LIST_FIRST(&ipc.dirty, struct connection, dirty);
		list_remove(&c->dirty);
		flush(c);
	}
}

static void start(void)
{
	list_init(&ipc.dirty);
	ipc.read_buffer = memory_alloc(READ_SIZE);
	ipc.started = true;
	run_before_wait(RANK_FRAMES, ipc_flush);
}

/* --- lifetime --- */

static void readable(void *argument);

struct connection *connection_new(int fd, const struct connection_role *role, void *owner)
{
	if (!ipc.started)
		start();
	struct connection *c = memory_alloc(sizeof(*c));
	c->role = role;
	c->owner = owner;
	c->fd = fd;
	c->references = 1;
	c->id = ++ipc.last_id;
	c->born = c->idle_since = clock_ms();
	c->next_number = 1;
	c->goaway_last = WIRE_GOAWAY_ALL;
	list_init(&c->in_owner);
	list_init(&c->dirty);
	buf_init(&c->out, OUT_MAX);
	buf_init(&c->partial, WIRE_HEADER + WIRE_PAYLOAD_MAX);
	c->watch = run_watch_new(fd);
	run_watch_on_readable(c->watch, readable, c);
	return c;
}

void connection_release(struct connection *c)
{
	ENSURE(c->references > 0);
	if (--c->references > 0)
		return;
	ENSURE(c->dead && c->open_count == 0);
	c->role->destroyed(c);
	list_remove(&c->dirty);
	run_watch_free(c->watch);
	(void)close(c->fd);
	buf_free(&c->out);
	buf_free(&c->partial);
	free(c);
}

void connection_lost(struct connection *c, int error)
{
	if (c->dead)
		return;
	c->dead = true;
	run_watch_on_readable(c->watch, NULL, NULL);
	run_watch_cancel(c->watch);
	for (size_t i = 0; i < CONNECTION_BUCKETS; i++)
		while (c->table[i] != NULL)
			exchange_over(c->table[i], error == 0 ? -ECONNRESET : error);
	c->role->lost(c, error);
	connection_release(c);
}

void connection_close(struct connection *c)
{
	c->closing = true;
	if (c->out.len == 0)
		connection_lost(c, 0);
}

void connection_refuse(struct connection *c, const char *reason)
{
	if (c->dead)
		return;
	log_warning("%s socket: %s", c->name, reason);
	connection_lost(c, -EBADMSG);
}

/* --- writing --- */

static void mark_dirty(struct connection *c)
{
	if (!c->writing && list_empty(&c->dirty))
		list_append(&ipc.dirty, &c->dirty);
}

void connection_send(struct connection *c, const struct wire_frame *f)
{
	if (c->dead)
		return;
	wire_frame_write(&c->out, f);
	ENSURE(buf_ok(&c->out));
	mark_dirty(c);
}

void connection_send_hello(struct connection *c, const struct wire_hello *h)
{
	if (c->dead)
		return;
	wire_hello_write(&c->out, h);
	mark_dirty(c);
}

void connection_send_number(
    struct connection *c, enum wire_kind kind, uint32_t exchange, uint32_t number)
{
	char wire[4];
	put_le32(wire, number);
	struct wire_frame f = {
	    .exchange = exchange,
	    .kind = (uint8_t)kind,
	    .payload = {wire, sizeof(wire)},
	};
	connection_send(c, &f);
}

/* 0 all written, -EAGAIN, or what ended the connection. */
static int write_out(struct connection *c)
{
	while (c->out_sent < c->out.len) {
		int fault = fault_hit(FAULT_SEND);
		if (fault != 0)
			return -fault;
		ssize_t n = send(c->fd, c->out.p + c->out_sent, c->out.len - c->out_sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && c->out_sent >= c->out.len / 2) {
			buf_consume(&c->out, c->out_sent);
			c->out_sent = 0;
			return -EAGAIN;
		}
		if (n < 0)
			return -errno;
		c->out_sent += (size_t)n;
	}
	c->out_sent = 0;
	if (c->out.size > KEEP_BUFFER)
		buf_free(&c->out);
	else
		buf_clear(&c->out);
	return 0;
}

static void resume_reading(struct connection *c)
{
	if (c->paused && c->out.len - c->out_sent < OUT_PAUSE / 2) {
		c->paused = false;
		run_watch_on_readable(c->watch, readable, c);
	}
}

/* The socket is full: a fiber waits for it, so that the turn goes on for the others. */
static void write_rest(void *argument)
{
	struct connection *c = argument;
	int result = -EAGAIN;
	while (!c->dead && result == -EAGAIN) {
		result = run_wait_writable(c->watch, deadline_after_ms(WRITE_STALL_MS));
		if (result == 0)
			result = write_out(c);
		if (!c->dead)
			resume_reading(c);
	}
	c->writing = false;
	if (result != 0)
		connection_lost(c, result);
	else if (c->closing)
		connection_lost(c, 0);
	connection_release(c);
}

static void flush(struct connection *c)
{
	if (c->dead || c->writing)
		return;
	int result = write_out(c);
	if (result == -EAGAIN) {
		c->writing = true;
		c->references++;
		result = fiber_start("ipc write", write_rest, c);
		if (result == 0)
			return;
		c->writing = false;
		c->references--;
	}
	if (result != 0)
		connection_lost(c, result);
	else if (c->closing)
		connection_lost(c, 0);
	else
		resume_reading(c);
}

/* --- reading --- */

static int dispatch(struct connection *c, const struct wire_frame *f)
{
	if (f->kind == WIRE_HELLO) {
		struct wire_hello hello;
		if (c->hello_seen || !wire_hello_read(f->payload, &hello) ||
		    !c->role->hello(c, &hello))
			return -EBADMSG;
		c->hello_seen = true;
		return 0;
	}
	if (!c->hello_seen)
		return -EBADMSG;
	if (f->exchange != 0)
		return exchange_frame(c, f);
	if (f->kind == WIRE_GOAWAY && c->role->goaway != NULL) {
		c->role->goaway(c, get_le32(f->payload.p));
		return 0;
	}
	if (f->kind == WIRE_CREDIT && c->role->granted != NULL) {
		int64_t grant = (int64_t)c->grant + (int32_t)get_le32(f->payload.p);
		if (grant < 0 || grant > WIRE_EXCHANGES_MAX)
			return -EBADMSG;
		c->grant = (uint32_t)grant;
		c->role->granted(c);
		return 0;
	}
	return -EBADMSG;
}

/* Takes all whole frames off *in. 0, or -EBADMSG. */
static int take_frames(struct connection *c, struct str *in)
{
	struct wire_frame f;
	int result;
	while (!c->dead && (result = wire_frame_read(in, &f)) != 0) {
		if (result > 0)
			result = dispatch(c, &f);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Continues the frame that an earlier read began. */
static int take_partial(struct connection *c, struct str *in)
{
	while (!c->dead && c->partial.len > 0) {
		struct str begun = buf_str(&c->partial);
		int result = take_frames(c, &begun);
		if (result < 0)
			return result;
		if (begun.len == 0) {
			if (c->partial.size > KEEP_BUFFER)
				buf_free(&c->partial);
			else
				buf_clear(&c->partial);
			return 0;
		}
		if (in->len == 0)
			return 0;
		struct str more = str_slice(*in, 0, wire_frame_missing(begun));
		buf_add_str(&c->partial, more);
		*in = str_skip(*in, more.len);
	}
	return 0;
}

static void feed(struct connection *c, struct str in)
{
	int result = take_partial(c, &in);
	if (result == 0)
		result = take_frames(c, &in);
	if (result < 0) {
		connection_refuse(c, "malformed frame, connection closed");
		return;
	}
	if (c->dead)
		return;
	if (in.len > 0)
		buf_add_str(&c->partial, in);
	/* Answers that the peer does not read must not pile up here. A client always
	 * reads: what can come is bounded by its own requests. */
	if (c->role->is_server && c->out.len - c->out_sent > OUT_PAUSE) {
		c->paused = true;
		run_watch_on_readable(c->watch, NULL, NULL);
	}
}

/* One system call for the rest of a begun frame and for all that follows it. */
static ssize_t receive(struct connection *c, size_t *into_partial_r)
{
	struct iovec parts[2];
	size_t count = 0, missing = 0;
	if (c->partial.len > 0) {
		missing = wire_frame_missing(buf_str(&c->partial));
		parts[count].iov_base = buf_reserve(&c->partial, missing);
		parts[count++].iov_len = missing;
	}
	parts[count].iov_base = ipc.read_buffer;
	parts[count++].iov_len = READ_SIZE;
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	int fault = fault_hit(FAULT_RECEIVE);
	if (fault != 0)
		return -fault;
	ssize_t n = recvmsg(c->fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	/* A descriptor came along: there is no room for it, so the kernel closed it. */
	if (message.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	*into_partial_r = (size_t)n < missing ? (size_t)n : missing;
	return n;
}

static void readable(void *argument)
{
	struct connection *c = argument;
	size_t into_partial = 0;
	ssize_t n = receive(c, &into_partial);
	if (n == -EAGAIN || n == -EINTR)
		return;
	c->references++;
	if (n == -EBADMSG) {
		connection_refuse(c, "unexpected descriptor, connection closed");
	} else if (n <= 0) {
		connection_lost(c, n == 0 ? -ECONNRESET : (int)n);
	} else {
		if (into_partial > 0)
			buf_advance(&c->partial, into_partial);
		feed(c, (struct str){ipc.read_buffer, (size_t)n - into_partial});
	}
	/* After a report with an error the watch has stopped, though bytes may be left.
	 */
	if (!c->dead && !c->paused)
		run_watch_on_readable(c->watch, readable, c);
	connection_release(c);
}
