/*
 * qmgr: the queue manager. Keeps a bounded active queue over incoming and deferred,
 * resolves recipients, hands them to delivery agents within the limits of transports and
 * destinations, and decides what becomes of a message afterwards.
 *
 * Reads from strangers: nothing directly; queue files hold their text and are read
 * strictly. Runs as mail_owner; not jailed in stock configurations. If it died here, no
 * mail would be lost: the files say what is done, and the next qmgr puts active ones back
 * into incoming.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "mail/log_lines.h"
#include "message/pickup.h"
#include "queue/commit.h"
#include "service/owner.h"

struct qmgr_state qmgr;

static bool answer(struct service_call *call)
{
	qmgr_backlog_write(
	    call->reply, &(struct qmgr_backlog){.backlog = intake_backlog()});
	return true;
}

static bool serve_incoming(struct service_call *call)
{
	struct qmgr_incoming message;
	*ipc_connection_state(call->exchange) = &qmgr;
	if (!qmgr_incoming_read(call->payload, call->arena, &message))
		return false;
	for (uint32_t i = 0; i < message.ids_count; i++) {
		const struct qmgr_id *m = &message.ids[i];
		struct commit_message c = {.place = m->place,
		    .arrival = {.tv_sec = (time_t)(m->arrival / 1000000),
			.tv_usec = (suseconds_t)(m->arrival % 1000000)}};
		if (queue_id_valid(m->id) && str_to_cstr(m->id, c.id, sizeof(c.id)))
			intake_announce(&c, m->late);
	}
	return answer(call);
}

/* Of a connection: that somebody announces mail there. */
static void connection_closed(UNUSED void *state)
{
	intake_look_for_orphans();
}

static bool serve_trigger(struct service_call *call)
{
	struct qmgr_trigger message;
	if (!qmgr_trigger_read(call->payload, call->arena, &message))
		return false;
	intake_trigger(message.flags);
	return answer(call);
}

static const struct service_request requests[] = {
    {qmgr_incoming_type, qmgr_backlog_type, serve_incoming},
    {qmgr_trigger_type, qmgr_backlog_type, serve_trigger},
    {0},
};

/*
 * One qmgr at a time: after a reload the new one waits here until the old one is gone.
 * The lock lies on the directory itself and is never given back.
 */
static void wait_for_predecessor(void)
{
	int fd = file_open_at(AT_FDCWD, QUEUE_ACTIVE, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		fatal("open directory %s: %s", QUEUE_ACTIVE, strerror(-fd));
	int error;
	while ((error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE)) == -EWOULDBLOCK)
		fiber_sleep_ms(100);
	if (error != 0)
		fatal("lock directory %s: %s", QUEUE_ACTIVE, strerror(-error));
}

static void begin(UNUSED void *argument)
{
	wait_for_predecessor();
	intake_start();
}

static void open_commit(const struct common_params *common)
{
	enum commit_engine engine;
	if (!commit_engine_parse(common->commit_engine, &engine))
		fatal("bad value of commit_engine: %s", common->commit_engine);
	int error = commit_pool_open(&qmgr.pool);
	if (error == 0 && engine == COMMIT_LOG)
		error = commit_notes_open(common->commit_segment_size, &qmgr.notes);
	if (error != 0)
		fatal("open the commit log: %s", strerror(-error));
}

static void adjust(
    const char *name, int64_t *value, const char *how, const char *other, int64_t right)
{
	log_warning("%s is %s than %s - adjusting %s", name, how, other, name);
	*value = right;
}

/* Values that make no sense together. */
static void adjust_parameters(void)
{
	struct qmgr_params *p = &qmgr.params;
	if (p->qmgr_message_recipient_limit < p->qmgr_message_active_limit)
		adjust("qmgr_message_recipient_limit", &p->qmgr_message_recipient_limit,
		    "smaller", "qmgr_message_active_limit", p->qmgr_message_active_limit);
	if (p->bounce_queue_lifetime > p->maximal_queue_lifetime)
		adjust("bounce_queue_lifetime", &p->bounce_queue_lifetime, "larger",
		    "maximal_queue_lifetime", p->maximal_queue_lifetime);
}

static bool busy(void)
{
	return commit_notes_busy(qmgr.notes);
}

static void started(void)
{
	const struct common_params *common = service_common();
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
	adjust_parameters();
	qmgr.queue_owner = owner_of(common).uid;
	qmgr.logs_before = clock_wall_seconds();
	open_commit(common);
	qmgr.messages = map_new();
	qmgr.transports = map_new();
	qmgr.rewrite = rewrite_client_new(
	    service_client_new(common, SERVICE_PRIVATE, common->rewrite_service_name));
	qmgr.bounce =
	    service_client_new(common, SERVICE_PRIVATE, common->bounce_service_name);
	qmgr.defer =
	    service_client_new(common, SERVICE_PRIVATE, common->defer_service_name);
	qmgr.trace =
	    service_client_new(common, SERVICE_PRIVATE, common->trace_service_name);
	qmgr.verify = service_client_new(
	    common, SERVICE_PRIVATE, common->address_verify_service_name);
	intake_prepare();
	fresh_prepare();
	if (fiber_start("start", begin, NULL) != 0)
		fatal("cannot start");
}

static void wakeup(void)
{
	intake_trigger(QMGR_SCAN_INCOMING | QMGR_SCAN_DEFERRED);
	intake_look_for_orphans();
}

static const struct service qmgr_service = {
    .name = "qmgr",
    .params = qmgr_param_table,
    .values = &qmgr.params,
    .ipc_timeout = &qmgr.params.qmgr_ipc_timeout,
    .daemon_timeout = &qmgr.params.qmgr_daemon_timeout,
    .sandbox = SANDBOX_QUEUE,
    .stays = true,
    .started = started,
    .requests = requests,
    .connection_closed = connection_closed,
    .wakeup = wakeup,
    .busy = busy,
};

int main(int argc, char **argv)
{
	return service_main(&qmgr_service, argc, argv);
}
