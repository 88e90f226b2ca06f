#include "client/qmgr_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "run/fiber.h"

#define ANNOUNCE_MAX        1000 /* ids that wait; for more a scan is asked for */
#define ANNOUNCE_TIMEOUT_MS 10000

struct qmgr_client {
	struct ipc_client *ipc;
	struct announcement {
		struct commit_message message;
		bool late;
	} * waiting;
	unsigned count;
	bool sending;
	bool too_many; /* some were not kept */
	uint32_t backlog;
};

struct qmgr_client *qmgr_client_new(struct ipc_client *ipc)
{
	struct qmgr_client *c = memory_alloc(sizeof(*c));
	c->ipc = ipc;
	c->waiting = memory_alloc_array(ANNOUNCE_MAX, sizeof(*c->waiting));
	return c;
}

bool qmgr_client_busy(const struct qmgr_client *c)
{
	return c->sending || c->count > 0;
}

uint32_t qmgr_client_backlog(const struct qmgr_client *c)
{
	return c->backlog;
}

static struct qmgr_id announced(const struct announcement *a)
{
	return (struct qmgr_id){.id = str_of(a->message.id),
	    .place = a->message.place,
	    .arrival =
		(int64_t)a->message.arrival.tv_sec * 1000000 + a->message.arrival.tv_usec,
	    .late = a->late};
}

/* All ids collected so far, in one frame. */
static void send_collected(struct qmgr_client *c)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(WIRE_PAYLOAD_MAX);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(1024);
	struct arena *arena = arena_new(ANNOUNCE_MAX * sizeof(struct qmgr_id) + 1024);
	struct qmgr_incoming message = {
	    .ids = arena_alloc_array(arena, c->count, sizeof(struct qmgr_id))};
	for (unsigned i = 0; message.ids != NULL && i < c->count; i++)
		message.ids[message.ids_count++] = announced(&c->waiting[i]);
	qmgr_incoming_write(&request, &message);
	c->count = 0;
	int error = ipc_call(c->ipc, qmgr_incoming_type, IPC_SAFE, buf_str(&request),
	    qmgr_backlog_type, &reply, deadline_after_ms(ANNOUNCE_TIMEOUT_MS));
	struct qmgr_backlog answer;
	if (error == 0 && qmgr_backlog_read(buf_str(&reply), arena, &answer))
		c->backlog = answer.backlog;
	arena_free(arena);
}

static void ask_for_scan(struct qmgr_client *c)
{
	int64_t deadline = deadline_after_ms(ANNOUNCE_TIMEOUT_MS);
	c->too_many = false;
	if (qmgr_trigger_send(c->ipc, QMGR_SCAN_INCOMING, deadline) != 0)
		log_debug("qmgr cannot be reached; it scans when it starts");
}

static void announcer(void *argument)
{
	struct qmgr_client *c = argument;
	while (c->count > 0 || c->too_many) {
		if (c->count > 0)
			send_collected(c);
		else
			ask_for_scan(c);
	}
	c->sending = false;
}

void qmgr_client_announce(
    struct qmgr_client *c, const struct commit_message *m, bool late)
{
	if (c->count == ANNOUNCE_MAX) {
		c->too_many = true;
		return;
	}
	c->waiting[c->count++] = (struct announcement){.message = *m, .late = late};
	if (c->sending)
		return;
	c->sending = true;
	if (fiber_start("qmgr announcer", announcer, c) != 0)
		c->sending = false;
}

int qmgr_trigger_send(struct ipc_client *ipc, uint32_t flags, int64_t deadline)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(64);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(64);
	qmgr_trigger_write(&request, &(struct qmgr_trigger){.flags = flags});
	return ipc_call(ipc, qmgr_trigger_type, IPC_SAFE, buf_str(&request),
	    qmgr_backlog_type, &reply, deadline);
}

int pickup_wake_send(struct ipc_client *ipc, int64_t deadline)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(64);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(64);
	pickup_wake_write(&request, &(struct pickup_wake){.reserved = 0});
	return ipc_call(ipc, pickup_wake_type, IPC_SAFE, buf_str(&request),
	    pickup_wake_type, &reply, deadline);
}
