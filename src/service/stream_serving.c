/* The accept loop of services that talk a protocol of their own with each client. */
#include "service/service_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/listen.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/wait.h"

#define PAUSE_MS           1000 /* after a failed accept */
#define DESCRIPTOR_WAIT_MS 10000

struct listener {
	int fd;
	struct run_watch *watch;
	bool off; /* a client came while the process was full */
};

static struct {
	struct listener *listeners;
	size_t count, clients;
	struct run_timer *again;
	bool pass, paused, retired;
} serving;

static void accept_one(void *argument);

static bool is_full(void)
{
	return serving.clients >= service_state.limit;
}

static void resume(void)
{
	if (is_full() || serving.paused || serving.retired)
		return;
	for (size_t i = 0; i < serving.count; i++) {
		struct listener *l = &serving.listeners[i];
		if (l->off) {
			l->off = false;
			run_watch_on_readable(l->watch, accept_one, l);
		}
	}
}

/* --- one client --- */

static void client_free(struct service_client *client)
{
	stream_free(client->stream);
	free(client);
	serving.clients--;
	lifetime_full(is_full());
	resume();
	lifetime_client_ended();
}

static void learn_address(struct service_client *client,
    int (*ask)(int fd, struct sockaddr *address, socklen_t *len), struct net_address *r)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	if (ask(stream_fd(client->stream), (struct sockaddr *)&address, &len) != 0 ||
	    !net_address_from((struct sockaddr *)&address, len, r))
		r->len = 0;
}

static void learn_addresses(struct service_client *client)
{
	if (serving.pass) /* what was accepted is not the client's */
		learn_address(client, getpeername, &client->peer);
	learn_address(client, getsockname, &client->local);
	net_address_unmap(&client->peer);
	net_address_unmap(&client->local);
}

/* `pass`: the connection that we accepted brings the client's own. */
static bool take_passed(struct service_client *client)
{
	stream_set_deadline(client->stream, deadline_after_ms(DESCRIPTOR_WAIT_MS));
	int fd = stream_receive_fd(client->stream);
	int error = fd < 0 ? fd : file_set_nonblocking(fd, true);
	if (error < 0) {
		log_warning(
		    "%s: no descriptor was passed: %s", service_name(), strerror(-error));
		file_close(&fd);
		return false;
	}
	stream_free(client->stream);
	client->stream = stream_new(fd);
	return true;
}

static void serve(void *argument)
{
	struct service_client *client = argument;
	if (!serving.pass || take_passed(client)) {
		learn_addresses(client);
		service_state.service->serve(client);
	}
	client_free(client);
}

static void start_client(int fd, const struct net_address *peer)
{
	struct service_client *client = memory_alloc(sizeof(*client));
	client->stream = stream_new(fd);
	client->peer = *peer;
	serving.clients++;
	lifetime_full(is_full());
	lifetime_client_began();
	int result = fiber_start(service_state.service->name, serve, client);
	if (result != 0) {
		log_warning("cannot serve a client: %s", strerror(-result));
		client_free(client);
	}
}

/* --- listening --- */

static void pause_accepting(int error)
{
	log_warning("accept connection: %s", strerror(error));
	serving.paused = true;
	run_timer_set(serving.again, deadline_after_ms(PAUSE_MS));
}

static void accept_again(UNUSED void *argument)
{
	serving.paused = false;
	resume();
}

static void accept_one(void *argument)
{
	struct listener *l = argument;
	if (is_full() || serving.paused) {
		run_watch_on_readable(l->watch, NULL, NULL);
		l->off = true;
		return;
	}
	if (!lifetime_may_take())
		return;
	struct net_address peer;
	int fd = net_accept(l->fd, &peer);
	if (fd >= 0)
		start_client(fd, &peer);
	else if (fd != -EAGAIN && fd != -ECONNABORTED)
		pause_accepting(-fd);
}

static void stop_listening(void)
{
	serving.retired = true;
	for (size_t i = 0; i < serving.count; i++) {
		run_watch_free(serving.listeners[i].watch);
		(void)close(serving.listeners[i].fd);
	}
	serving.count = 0;
}

static void set_limit(UNUSED uint32_t limit)
{
	lifetime_full(is_full());
	resume();
}

static size_t clients_left(void)
{
	return serving.clients;
}

void stream_serving_start(int first, int count)
{
	static const struct lifetime_hooks hooks = {
	    .retire = stop_listening,
	    .set_limit = set_limit,
	    .open = clients_left,
	};
	serving.pass = str_is(str_of(service_state.options.type), "pass");
	serving.again = run_timer_new(accept_again, NULL);
	serving.listeners = memory_alloc_array((size_t)count, sizeof(*serving.listeners));
	for (int i = 0; i < count; i++) {
		struct listener *l = &serving.listeners[serving.count++];
		l->fd = first + i;
		l->watch = run_watch_new(l->fd);
		run_watch_on_readable(l->watch, accept_one, l);
	}
	lifetime_start(&hooks);
}
