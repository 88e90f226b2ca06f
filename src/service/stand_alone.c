/*
 * -S: one client on standard input and output (`sendmail -bs`). The service talks to one
 * end of a socket pair; two fibers carry bytes between the other end and the descriptors,
 * which may be pipes, files or a terminal.
 */
#include "service/service_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "net/listen.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/wait.h"

#define PIECE 4096

static struct {
	int inner; /* our end of the pair */
	struct run_watch *inner_read, *in, *out;
	bool ended;
	bool wait_was_on; /* standard input blocked: so it shall when we leave */
} alone;

static ssize_t read_piece(int fd, struct run_watch *w, char piece[PIECE])
{
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int result = run_wait_readable(w, CLOCK_NEVER);
		if (result != 0)
			return result;
	}
}

static bool write_piece(int fd, struct run_watch *w, const char *piece, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, piece, len);
		if (n >= 0) {
			piece += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (run_wait_writable(w, CLOCK_NEVER) != 0)
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

static void carry_in(UNUSED void *argument)
{
	char piece[PIECE];
	ssize_t n;
	while ((n = read_piece(STDIN_FILENO, alone.in, piece)) > 0)
		if (!write_piece(alone.inner, alone.inner_read, piece, (size_t)n))
			return;
	(void)shutdown(alone.inner, SHUT_WR);
}

static void carry_out(UNUSED void *argument)
{
	char piece[PIECE];
	ssize_t n;
	while ((n = read_piece(alone.inner, alone.inner_read, piece)) > 0)
		if (!write_piece(STDOUT_FILENO, alone.out, piece, (size_t)n))
			break;
	alone.ended = true;
	if (alone.wait_was_on && file_set_nonblocking(STDIN_FILENO, false) != 0)
		log_debug("standard input stays without waiting");
	lifetime_retire("the client is served");
}

static void serve(void *argument)
{
	struct service_client *client = argument;
	service_state.service->serve(client);
	stream_free(client->stream); /* carry_out sees the end and finishes */
	free(client);
}

static void nothing(void)
{
}

static void no_limit(UNUSED uint32_t limit)
{
}

static size_t left(void)
{
	return alone.ended ? 0 : 1;
}

void stand_alone_start(void)
{
	static const struct lifetime_hooks hooks = {
	    .retire = nothing,
	    .set_limit = no_limit,
	    .open = left,
	};
	int fds[2], error = net_pair(fds);
	if (error != 0)
		fatal("socketpair: %s", strerror(-error));
	alone.inner = fds[0];
	alone.inner_read = run_watch_new(fds[0]);
	alone.in = run_watch_new(STDIN_FILENO);
	alone.out = run_watch_new(STDOUT_FILENO);
	struct service_client *client = memory_alloc(sizeof(*client));
	client->stream = stream_new(fds[1]);
	ENSURE(net_address_parse(STR("127.0.0.1"), 0, &client->peer));
	client->local = client->peer;
	alone.wait_was_on = (fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK) == 0;
	lifetime_start(&hooks);
	if (file_set_nonblocking(STDIN_FILENO, true) != 0 ||
	    fiber_start("in", carry_in, NULL) != 0 ||
	    fiber_start("out", carry_out, NULL) != 0 ||
	    fiber_start(service_state.service->name, serve, client) != 0)
		fatal("cannot serve standard input");
}
