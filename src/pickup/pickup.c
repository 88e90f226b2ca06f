/*
 * pickup: takes the files that postdrop left in maildrop and hands them to cleanup.
 *
 * Reads from strangers: maildrop files, written by any local user, or by a client of a
 * file server: who sent one is told by its owner, nothing else in it is believed. Runs as
 * mail_owner, not jailed. If it died, the file would still be there; a message whose file
 * could not be removed after its commit would be delivered twice.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "mail/received.h"
#include "message/pickup.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "service/service.h"

#define MESSAGE_ARENA  (32 * 1024 * 1024)
#define RECIPIENTS_MAX 50000
#define ID_STOCK       4

static struct {
	struct cleanup_client *cleanup;
	bool scanning, again;
} pickup;

struct drop {
	struct queue_file file;
	struct queue_envelope envelope;
	struct arena *arena;
	struct cleanup_recipient *recipients;
	uint32_t count;
};

static void save_corrupt(struct str id, const char *reason)
{
	log_warning("maildrop file %.*s: %s: saved in queue \"%s\"", STR_ARG(id), reason,
	    QUEUE_CORRUPT);
	int error = queue_move(id, QUEUE_MAILDROP, QUEUE_CORRUPT);
	if (error != 0)
		log_warning(
		    "%.*s: move to %s: %s", STR_ARG(id), QUEUE_CORRUPT, strerror(-error));
}

/* All recipients, from both segments. -E2BIG: more than anybody has. */
static int read_recipients(struct drop *d)
{
	struct queue_recipient portion[200];
	int64_t offset = 0;
	d->recipients =
	    arena_alloc_array(d->arena, RECIPIENTS_MAX, sizeof(*d->recipients));
	if (d->recipients == NULL)
		return -ENOMEM;
	while (offset >= 0) {
		ssize_t got = queue_file_recipients(
		    &d->file, d->arena, &offset, portion, ARRAY_SIZE(portion));
		if (got < 0)
			return (int)got;
		if (d->count + (size_t)got > RECIPIENTS_MAX)
			return -E2BIG;
		for (ssize_t i = 0; i < got; i++)
			d->recipients[d->count++] =
			    (struct cleanup_recipient){.address = portion[i].address,
				.dsn_orcpt = portion[i].dsn_orcpt,
				.notify = portion[i].notify};
	}
	return 0;
}

static void add_received(struct buf *out, const struct drop *d, const char *id)
{
	const struct common_params *common = service_common();
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = d->envelope.arrival.tv_sec,
		.uid = (int64_t)d->file.status.st_uid});
}

static int submit(
    struct drop *d, struct cleanup_message *m, struct cleanup_result *result)
{
	int64_t deadline = service_client_deadline(service_common());
	const char *encoding = queue_attribute(&d->envelope, "encoding");
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	add_received(&received, d, cleanup_message_id(m));
	struct cleanup_attribute attributes[] = {
	    {.name = STR("rewrite_context"), .value = STR("local")},
	    {.name = STR("encoding"), .value = str_of(encoding)},
	};
	struct cleanup_submit envelope = {
	    .flags = CLEANUP_MAP | CLEANUP_FILTER | CLEANUP_COMPLETE | CLEANUP_BOUNCE,
	    .arrival_seconds = d->envelope.arrival.tv_sec,
	    .arrival_microseconds = (uint32_t)d->envelope.arrival.tv_usec,
	    .sender = d->envelope.sender,
	    .full_name = d->envelope.full_name,
	    .envelope_id = d->envelope.envelope_id,
	    .ret = d->envelope.ret,
	    .attributes = attributes,
	    .attributes_count = encoding != NULL ? 2 : 1,
	    .recipients = d->recipients,
	    .recipients_count = d->count,
	    .received = buf_str(&received),
	};
	int error = cleanup_message_begin(m, &envelope, deadline);
	if (error == 0)
		error = cleanup_message_copy(m, &d->file, &d->envelope, false, deadline);
	return error != 0 ? error : cleanup_message_finish(m, deadline, result);
}

static void log_pickup(const struct drop *d, const char *id)
{
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX * 2);
	address_add_log(&sender, d->envelope.sender);
	log_info(
	    "%s: uid=%d from=<%s>", id, (int)d->file.status.st_uid, buf_cstr(&sender));
}

/* True when the file is not needed any more. */
static bool hand_over(struct drop *d, struct str id)
{
	int error;
	struct cleanup_result result;
	struct cleanup_message *m = cleanup_message_new(
	    pickup.cleanup, service_client_deadline(service_common()), &error);
	if (m == NULL) {
		log_warning(
		    "maildrop/%.*s waits: cleanup: %s", STR_ARG(id), strerror(-error));
		return false;
	}
	cleanup_message_shown(m);
	log_pickup(d, cleanup_message_id(m));
	error = submit(d, m, &result);
	cleanup_message_free(m);
	if (error == 0 && result.status == CLEANUP_OK)
		return true;
	if (error == 0 && cleanup_status_code(result.status) >= 500)
		save_corrupt(id, cleanup_status_text(result.status));
	else
		log_warning("maildrop/%.*s waits: cleanup: %s", STR_ARG(id),
		    error != 0 ? strerror(-error) : cleanup_status_text(result.status));
	return false;
}

static void take_open_file(struct drop *d, struct str id)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	int error = queue_file_envelope(&d->file, d->arena, &d->envelope, &reason);
	if (error == 0)
		error = read_recipients(d);
	if (error != 0) {
		save_corrupt(id, reason.len > 0 ? buf_cstr(&reason) : strerror(-error));
		return;
	}
	if (!hand_over(d, id))
		return;
	error = queue_remove(QUEUE_MAILDROP, id);
	if (error != 0)
		log_warning("remove maildrop/%.*s: %s", STR_ARG(id), strerror(-error));
}

static void take_file(struct str id)
{
	struct drop d = {.count = 0};
	int error = queue_file_open(&d.file, QUEUE_MAILDROP, id, false, true, (uid_t)-1);
	if (error == -EAGAIN || error == -ENOENT || error == -EWOULDBLOCK)
		return; /* being written, or gone */
	if (error != 0) {
		log_warning("open maildrop/%.*s: %s", STR_ARG(id), strerror(-error));
		return;
	}
	/* A second name would let its owner change the file while we believe it. */
	if (d.file.status.st_nlink > 1) {
		log_warning("maildrop/%.*s has %u links: left alone", STR_ARG(id),
		    (unsigned)d.file.status.st_nlink);
	} else {
		d.arena = arena_new(MESSAGE_ARENA);
		take_open_file(&d, id);
		arena_free(d.arena);
	}
	queue_file_close(&d.file);
}

static void scan_once(void)
{
	char id[QUEUE_ID_MAX];
	struct queue_scan *scan = queue_scan_new(QUEUE_MAILDROP);
	if (scan == NULL) {
		log_warning("open directory %s: %s", QUEUE_MAILDROP, strerror(errno));
		return;
	}
	while (!service_draining() && queue_scan_next(scan, id))
		take_file(str_of(id));
	queue_scan_free(scan);
}

/* One scan at a time; a wake meanwhile makes another. */
static void scan(UNUSED void *argument)
{
	if (pickup.scanning) {
		pickup.again = true;
		return;
	}
	pickup.scanning = true;
	do {
		pickup.again = false;
		scan_once();
	} while (pickup.again);
	pickup.scanning = false;
}

static void wakeup(void)
{
	scan(NULL);
}

static void exchange(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (ipc_receive(x, &type, &payload, service_client_deadline(service_common())) !=
	    0)
		return;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(64);
	pickup_wake_write(&reply, &(struct pickup_wake){.reserved = 0});
	if (ipc_reply(x, pickup_wake_type, buf_str(&reply)) != 0)
		log_debug("client did not wait for the answer");
	if (fiber_start("scan", scan, NULL) != 0)
		log_warning("no fiber to look into maildrop");
}

static bool busy(void)
{
	return pickup.scanning;
}

static void started(void)
{
	const struct common_params *common = service_common();
	queue_dir_configure(
	    str_of(common->hash_queue_names), (unsigned)common->hash_queue_depth);
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
	pickup.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name),
	    ID_STOCK);
}

static const struct service pickup_service = {
    .name = "pickup",
    .sandbox = SANDBOX_QUEUE,
    .started = started,
    .exchange = exchange,
    .wakeup = wakeup,
    .busy = busy,
};

int main(int argc, char **argv)
{
	return service_main(&pickup_service, argc, argv);
}
