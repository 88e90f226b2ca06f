/* Services of the inner protocol: one ipc server on all listeners. */
#include "service/service_private.h"

#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "client/service_client.h"
#include "run/loop.h"

#define TICK_MS 1000
/* Room for what is in the largest payload, should it be all lists. */
#define REQUEST_ARENA (32 * 1024 * 1024)

static struct {
	struct ipc_server *server;
	int first, count;
	struct run_timer *tick;
} inner;

static const struct service_request *find_request(uint16_t type)
{
	const struct service_request *r = service_state.service->requests;
	while (r->serve != NULL && r->type != type)
		r++;
	return r->serve != NULL ? r : NULL;
}

static void serve_request(struct ipc_exchange *x)
{
	uint16_t type;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(WIRE_PAYLOAD_MAX);
	struct service_call call = {.exchange = x, .reply = &reply};
	if (ipc_receive(
		x, &type, &call.payload, service_client_deadline(service_common())) != 0)
		return;
	const struct service_request *r = find_request(type);
	call.arena = arena_new(REQUEST_ARENA);
	if (r == NULL || !r->serve(&call) || !buf_ok(&reply))
		log_warning("malformed request, or one that is too large");
	else if (ipc_reply(x, r->reply_type, buf_str(&reply)) != 0)
		log_debug("client did not wait for the answer");
	arena_free(call.arena);
}

static void wake_up(void)
{
	if (service_state.service->wakeup != NULL)
		service_state.service->wakeup();
}

static void exchange(struct ipc_exchange *x)
{
	lifetime_client_began();
	if (ipc_opening_type(x) == WIRE_TYPE_WAKEUP)
		wake_up();
	else if (service_state.service->requests != NULL)
		serve_request(x);
	else
		service_state.service->exchange(x);
}

/* Kept connections bring exchanges without an accept: tables are looked at meanwhile. */
static void tick(UNUSED void *argument)
{
	if (!lifetime_may_take())
		return;
	run_timer_set(inner.tick, deadline_after_ms(TICK_MS));
}

static void start_tick(void)
{
	if (service_state.service->stale != NULL)
		run_timer_set(inner.tick, deadline_after_ms(TICK_MS));
}

static void retire(void)
{
	run_timer_set(inner.tick, CLOCK_NEVER);
	ipc_server_retire(inner.server);
	for (int i = 0; i < inner.count; i++)
		(void)close(inner.first + i);
}

static void set_limit(uint32_t limit)
{
	ipc_server_set_limit(inner.server, limit);
}

static size_t left(void)
{
	return ipc_server_open(inner.server) + ipc_server_connections(inner.server);
}

void inner_serving_start(int first, int count)
{
	static const struct lifetime_hooks hooks = {
	    .retire = retire,
	    .set_limit = set_limit,
	    .open = left,
	};
	const struct ipc_server_options options = {
	    .service = service_name(),
	    .client_limit = service_state.limit,
	    .handler = exchange,
	    .connection_closed = service_state.service->connection_closed,
	    .busy_changed = lifetime_full,
	    .exchange_done = lifetime_client_ended,
	    .may_accept = lifetime_may_take,
	    .drained = lifetime_check_end,
	};
	inner.server = ipc_server_new(&options);
	inner.first = first;
	inner.count = count;
	inner.tick = run_timer_new(tick, NULL);
	start_tick();
	for (int i = 0; i < count; i++)
		ipc_server_listen(inner.server, first + i);
	lifetime_start(&hooks);
}
