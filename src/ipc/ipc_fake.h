/*
 * For the tests of src/ipc: a listening socket in a new directory, and a raw peer that
 * speaks bytes. Everything runs in one process; tests wrap their waiting part in run_main
 * and assert outside.
 */
#ifndef IPC_IPC_FAKE_H
#define IPC_IPC_FAKE_H

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/panic.h"
#include "ipc/ipc.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/wait.h"
#include "unit.h"

#define SOON deadline_after_ms(5000)

struct fake_socket {
	char path[100];
	int fd;
};

static inline UNUSED struct fake_socket fake_listen(void)
{
	struct fake_socket s;
	(void)snprintf(s.path, sizeof(s.path), "%s/s", unit_directory());
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, s.path, strlen(s.path));
	s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ENSURE(s.fd >= 0 && bind(s.fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	ENSURE(listen(s.fd, 100) == 0);
	return s;
}

/* A connected pair, both ends non-blocking. */
static inline UNUSED void fake_pair(int fds[2])
{
	ENSURE(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
}

static inline UNUSED void fake_send(int fd, struct str bytes)
{
	ENSURE(send(fd, bytes.p, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len);
}

/* The next frame from the peer into `in`, or false when it closed. */
static inline UNUSED bool fake_frame(
    int fd, struct run_watch *w, struct buf *in, struct wire_frame *f)
{
	for (;;) {
		struct str bytes = buf_str(in);
		int result = wire_frame_read(&bytes, f);
		ENSURE(result >= 0);
		if (result == 1) {
			/* The payload stays readable: consume by moving it to the front
			 * later. */
			return true;
		}
		ENSURE(run_wait_readable(w, SOON) == 0);
		char *room = buf_reserve(in, 4096);
		ssize_t n = recv(fd, room, 4096, 0);
		if (n <= 0)
			return false;
		buf_advance(in, (size_t)n);
	}
}

static inline UNUSED void fake_consume(struct buf *in, const struct wire_frame *f)
{
	buf_consume(in, WIRE_HEADER + f->payload.len);
}

#endif
