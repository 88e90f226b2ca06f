#include "net/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/stream_private.h"
#include "run/fiber.h"

#define FULL_BACKLOG_PAUSE_MS 10

static int start_connecting(int fd, const struct net_address *to)
{
	int error = fault_hit(FAULT_CONNECT);

	if (error != 0)
		return -error;
	return connect(fd, (const struct sockaddr *)&to->storage, to->len) != 0 ? -errno
										: 0;
}

static int connect_stream(
    struct stream *s, const struct net_address *to, int64_t deadline)
{
	int fd = stream_fd(s), error = 0, result = start_connecting(fd, to);
	socklen_t len = sizeof(error);

	/* A UNIX socket whose backlog is full says so at once; TCP waits by itself. */
	while (result == -EAGAIN) {
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		fiber_sleep_ms(FULL_BACKLOG_PAUSE_MS);
		result = start_connecting(fd, to);
	}
	if (result != -EINPROGRESS && result != -EINTR)
		return result;
	result = stream_wait_writable(s);
	if (result != 0)
		return result;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	return -error;
}

static int prepare(int fd, const struct net_address *to, const struct net_address *source)
{
	int one = 1;

	if (net_address_family(to) != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source != NULL &&
	    bind(fd, (const struct sockaddr *)&source->storage, source->len) != 0)
		return -errno;
	return 0;
}

int net_connect(const struct net_address *to, const struct net_address *source,
    int64_t deadline, struct stream **stream_r)
{
	int fd =
	    socket(net_address_family(to), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stream *s;
	int result;

	if (fd < 0)
		return -errno;
	result = prepare(fd, to, source);
	if (result != 0) {
		(void)close(fd);
		return result;
	}
	s = stream_new(fd);
	stream_set_deadline(s, deadline);
	result = connect_stream(s, to, deadline);
	if (result == 0)
		*stream_r = s;
	else
		stream_free(s);
	return result;
}

int net_bind_check(const struct net_address *source)
{
	int fd = socket(net_address_family(source), SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&source->storage, source->len) != 0)
		result = -errno;
	(void)close(fd);
	return result;
}

int net_connect_unix_blocking(const char *path, int timeout_ms)
{
	struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct net_address to;
	int fd, result = net_address_unix(path, &to);

	if (result != 0)
		return result;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
		result = -errno;
	else
		result = start_connecting(fd, &to);
	if (result == 0)
		return fd;
	(void)close(fd);
	return result == -EAGAIN || result == -EINPROGRESS ? -ETIMEDOUT : result;
}
