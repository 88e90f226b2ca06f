/*
 * Feeds bytes to the server side of a connection. The first byte chooses how the stream
 * is cut into reads and whether a valid hello is put before it. The handler reads each
 * message as the sample message and answers.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "ipc/ipc.h"
#include "ipc/message_sample.h"
#include "run/fiber.h"
#include "run/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ipc_server *server;

static void handle(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	while (ipc_receive(x, &type, &payload, deadline_after_ms(1000)) == 0) {
		(void)sample_check(payload);
		if (ipc_send(x, sample_type, payload, IPC_MORE, deadline_after_ms(1)) !=
		    0)
			return;
	}
}

struct input {
	struct str bytes;
};

static void send_bytes(int fd, struct str bytes, size_t piece)
{
	while (bytes.len > 0) {
		struct str next = str_slice(bytes, 0, piece);
		ssize_t n = send(fd, next.p, next.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return;
		bytes = str_skip(bytes, (size_t)n);
		fiber_yield();
	}
}

static void feed(void *argument)
{
	const struct input *input = argument;
	uint8_t how = (uint8_t)input->bytes.p[0];
	int fds[2];
	ENSURE(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	ipc_server_add(server, fds[0]);
	if (how & 1) {
		CLEANUP(buf_free) struct buf hello = BUF_INIT(100);
		struct wire_hello h = {.service = STR("fuzz")};
		wire_hello_write(&hello, &h);
		send_bytes(fds[1], buf_str(&hello), 1000);
	}
	size_t piece = how & 2 ? 1u + (how >> 2) : 1u << 20;
	send_bytes(fds[1], str_skip(input->bytes, 1), piece);
	(void)shutdown(fds[1], SHUT_WR);
	while (ipc_server_connections(server) > 0 || ipc_server_open(server) > 0)
		fiber_yield();
	(void)close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 100000)
		return 0;
	if (server == NULL) {
		run_init();
		ENSURE(log_open(LOG_SINK_MEMORY, "postfix/fuzz", NULL) == 0);
		const struct ipc_server_options options = {
		    .service = "fuzz",
		    .client_limit = 4,
		    .window = 8192,
		    .handler = handle,
		};
		server = ipc_server_new(&options);
	}
	struct input input = {{(const char *)data, size}};
	run_main(feed, &input);
	log_memory_clear();
	return 0;
}
