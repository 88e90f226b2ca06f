/*
 * discard: takes every message and throws it away. Reads from strangers: nothing. Runs as
 * mail_owner, may be jailed. If it died, a recipient would be discarded again.
 */
#include "deliver/delivery.h"
#include "discard_params.h"
#include "service/owner.h"
#include "service/service.h"

static struct discard_params params;

/* The next hop is the reason that the log shows. */
static void discard(struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++)
		delivery_sent(d, i, STR("none"), 0, "2.0.0", d->request.nexthop);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "none", discard);
}

static void before_jail(void)
{
	delivery_before_jail(service_common());
}

static void started(void)
{
	delivery_open(service_common(), owner_of(service_common()).uid);
}

static const struct service discard_service = {
    .name = "discard",
    .params = discard_param_table,
    .values = &params,
    .sandbox = SANDBOX_QUEUE,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
};

int main(int argc, char **argv)
{
	return service_main(&discard_service, argc, argv);
}
