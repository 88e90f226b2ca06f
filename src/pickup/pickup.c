/*
 * pickup: takes the files that postdrop left in maildrop and hands them to cleanup.
 *
 * Reads from strangers: maildrop files, written by any local user, or by a client of a
 * file server: who sent one is told by its owner, nothing else in it is believed. Runs as
 * mail_owner, may be jailed. If it died, the file would still be there; a message whose
 * file could not be removed after its commit is delivered twice.
 */
#include "pickup/pickup.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "client/service_client.h"
#include "mail/address.h"
#include "message/pickup.h"
#include "queue/queue_dir.h"
#include "run/fiber.h"
#include "service/owner.h"
#include "service/service.h"

#define PARALLEL 8 /* messages under way: their syncs go together */
#define ID_STOCK 16

struct pickup_state pickup;

static struct {
	bool under_way, again;
	bool stopped; /* cleanup is not there */
	unsigned running;
	struct fiber_queue ended;
} scan;

struct work {
	char id[QUEUE_ID_MAX];
};

static void take_one(void *argument)
{
	struct work *w = argument;
	if (!message_take(str_of(w->id)))
		scan.stopped = true;
	free(w);
	scan.running--;
	fiber_queue_wake_all(&scan.ended);
}

/* Waits until fewer than `limit` messages are under way. */
static void wait_for_room(unsigned limit)
{
	while (scan.running >= limit)
		(void)fiber_queue_wait(&scan.ended, CLOCK_NEVER);
}

static void start_one(const char *id)
{
	struct work *w = memory_alloc(sizeof(*w));
	memcpy(w->id, id, sizeof(w->id));
	scan.running++;
	if (fiber_start("message", take_one, w) != 0)
		take_one(w);
}

static void scan_once(void)
{
	char id[QUEUE_ID_MAX] = "";
	struct queue_scan *s = queue_scan_new(QUEUE_MAILDROP);
	if (s == NULL) {
		log_warning("open directory %s: %s", QUEUE_MAILDROP, strerror(errno));
		return;
	}
	scan.stopped = false;
	while (!service_draining() && !scan.stopped && queue_scan_next(s, id)) {
		start_one(id);
		wait_for_room(PARALLEL);
	}
	queue_scan_free(s);
	wait_for_room(1);
}

/* One scan at a time; who comes meanwhile causes another one. */
static void scan_all(UNUSED void *argument)
{
	scan.again = true;
	if (scan.under_way)
		return;
	scan.under_way = true;
	while (scan.again && !service_draining()) {
		scan.again = false;
		scan_once();
	}
	scan.under_way = false;
}

static void start_scan(void)
{
	if (fiber_start("scan", scan_all, NULL) != 0)
		log_warning("no memory to look into %s", QUEUE_MAILDROP);
}

/* Heard; the answer does not wait for the scan. */
static bool serve_wake(struct service_call *call)
{
	struct pickup_wake request;
	if (!pickup_wake_read(call->payload, call->arena, &request))
		return false;
	pickup_wake_write(call->reply, &request);
	start_scan();
	return true;
}

static const struct service_request requests[] = {
    {pickup_wake_type, pickup_wake_type, serve_wake},
    {0},
};

static bool busy(void)
{
	return scan.under_way;
}

static void started(void)
{
	const struct common_params *common = service_common();
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
	pickup.mail_owner = owner_of(common).uid;
	pickup.cleanup_flags =
	    cleanup_receive_flags(pickup.params.receive_override_options) |
	    CLEANUP_COMPLETE | CLEANUP_BOUNCE |
	    cleanup_detect_utf8(
		service_common()->smtputf8_autodetect_classes, "sendmail");
	pickup.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name),
	    ID_STOCK);
	fiber_queue_init(&scan.ended);
	start_scan();
}

static const struct service pickup_service = {
    .name = "pickup",
    .params = pickup_param_table,
    .values = &pickup.params,
    .sandbox = SANDBOX_QUEUE,
    .started = started,
    .requests = requests,
    .wakeup = start_scan,
    .busy = busy,
};

int main(int argc, char **argv)
{
	return service_main(&pickup_service, argc, argv);
}
