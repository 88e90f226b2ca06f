/* Services of the inner protocol: one ipc server on all listeners. */
#include "service/service_private.h"

#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "run/loop.h"

#define TICK_MS 1000

static struct {
	struct ipc_server *server;
	int first, count;
	struct run_timer *tick;
} inner;

static void exchange(struct ipc_exchange *x)
{
	lifetime_client_began();
	if (ipc_opening_type(x) != WIRE_TYPE_WAKEUP)
		service_state.service->exchange(x);
	else if (service_state.service->wakeup != NULL)
		service_state.service->wakeup();
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
