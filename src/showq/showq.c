/*
 * showq: lists the queue to whoever connects to public/showq, in Postfix's own attribute
 * protocol, because monitoring tools read it (queue/attr_list.h; an empty list ends all).
 * Of a message first the recipients whose reason is known, in the order in which they
 * failed, then the others.
 *
 * Reads from strangers: nothing from the socket; queue files and logs hold their text and
 * are read strictly, one at a time, so memory does not depend on the length of the queue.
 * Runs as mail_owner, may be jailed. Nothing would be lost if it died.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "queue/attr_list.h"
#include "queue/bounce_log.h"
#include "queue/commit_segment.h"
#include "queue/commit_slots.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "service/owner.h"
#include "service/service.h"
#include "showq_params.h"

#define MESSAGE_ARENA  (1024 * 1024)
#define PORTION        100
#define WRITE_SECONDS  60
#define YIELD_EVERY    50
#define REASON_LOG_MAX (8 * 1024 * 1024) /* a longer log shows its first reasons only */

static uid_t queue_owner;
static struct showq_params params;

/* The order in which queues are listed. First, new mail without a name: it may get one
 * while we look. */
static const char *const queues[] = {
    QUEUE_MAILDROP, QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD};

struct listing {
	struct stream *stream;
	const char *queue;           /* as it is shown */
	char where[QUEUE_PLACE_MAX]; /* the file lies: the queue, or a place */
	char id[QUEUE_ID_MAX];
	struct map *unnamed; /* ids of new mail that was listed before it got a name */
	struct map *listed;  /* addresses with a reason, at most duplicate_filter_limit */
	bool failed;
};

static void put(struct listing *l, const struct buf *bytes)
{
	stream_set_deadline(l->stream, deadline_after_seconds(WRITE_SECONDS));
	if (!l->failed && stream_write_str(l->stream, buf_str(bytes)) != 0)
		l->failed = true;
}

static void attribute(struct listing *l, const char *name, struct str value)
{
	CLEANUP(buf_free) struct buf pair = BUF_INIT(ATTR_LIST_STRING_MAX * 2);
	attr_list_add(&pair, name, value);
	put(l, &pair);
}

static void attribute_number(struct listing *l, const char *name, int64_t number)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(32);
	buf_add_i64(&text, number);
	attribute(l, name, buf_str(&text));
}

static void attribute_address(struct listing *l, const char *name, struct str internal)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX * 2 + 2);
	if (internal.len > 0)
		address_quote(&text, internal);
	else
		buf_add_cstr(&text, params.empty_address_recipient);
	attribute(l, name, buf_str(&text));
}

static void list_end(struct listing *l)
{
	CLEANUP(buf_free) struct buf end = BUF_INIT(10);
	attr_list_end(&end);
	put(l, &end);
}

/* --- recipients --- */

static void list_failed(struct listing *l, const struct bounce_entry *e)
{
	struct str reason =
	    e->reason.len > 0 ? e->reason : STR("(description unavailable)");
	attribute_address(l, "recipient", e->recipient);
	attribute(l, "reason", reason);
	if ((int64_t)map_count(l->listed) < params.duplicate_filter_limit)
		(void)map_set(l->listed, e->recipient, l);
}

static void list_from_log(struct listing *l)
{
	char path[QUEUE_PATH_MAX];
	struct bounce_log_reader reader;
	struct bounce_entry entry;
	CLEANUP(buf_free) struct buf log = BUF_INIT(REASON_LOG_MAX);
	queue_path(path, QUEUE_DEFER, str_of(l->id));
	int error = file_read_whole(AT_FDCWD, path, &log);
	if (error != 0 && error != -EFBIG)
		return;
	bounce_log_reader_init(&reader, buf_str(&log));
	while (!l->failed && bounce_log_next(&reader, &entry))
		list_failed(l, &entry);
	bounce_log_reader_free(&reader);
}

/* --- messages --- */

static void list_from_file(struct listing *l, struct queue_file *f)
{
	struct queue_recipient recipients[PORTION];
	int64_t offset = 0;
	while (offset >= 0 && !l->failed) {
		struct arena *a = arena_new(MESSAGE_ARENA);
		ssize_t count = queue_file_recipients(f, a, &offset, recipients, PORTION);
		for (ssize_t i = 0; i < count; i++) {
			if (map_get(l->listed, recipients[i].address) != NULL)
				continue;
			attribute_address(l, "recipient", recipients[i].address);
			attribute(l, "reason", STR_EMPTY);
		}
		arena_free(a);
		if (count < 0)
			break; /* what could be read is shown */
	}
}

static void list_envelope(
    struct listing *l, const struct queue_file *f, const struct queue_envelope *e)
{
	attribute(l, "queue_name", str_of(l->queue));
	attribute(l, "queue_id", str_of(l->id));
	attribute_number(l, "time", e->arrival.tv_sec);
	attribute_number(l, "size", e->message_size);
	attribute_number(
	    l, "forced_expire", (f->status.st_mode & QUEUE_MODE_EXPIRE) != 0);
	attribute_address(l, "sender", e->sender);
}

/* Files that come and go while we look are passed by. True: it is listed. */
static bool list_message(struct listing *l)
{
	struct queue_file f;
	struct queue_envelope envelope;
	bool maildrop = strcmp(l->where, QUEUE_MAILDROP) == 0;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	if (map_get(l->unnamed, str_of(l->id)) != NULL ||
	    queue_file_open(&f, l->where, str_of(l->id), false, false,
		maildrop ? (uid_t)-1 : queue_owner) != 0)
		return false;
	struct arena *a = arena_new(MESSAGE_ARENA);
	bool good = queue_file_glance(&f, a, &envelope, &reason) == 0;
	if (good) {
		list_envelope(l, &f, &envelope);
		l->listed = map_new();
		list_from_log(l);
		list_from_file(l, &f);
		map_free(l->listed);
		list_end(l);
	} else {
		log_debug("%s/%s is not listed: %s", l->queue, l->id, buf_cstr(&reason));
	}
	arena_free(a);
	queue_file_close(&f);
	return good;
}

static void list_unnamed(void *context, const struct segment_record *r)
{
	struct listing *l = context;
	queue_place_path(l->where, r->place);
	if (l->failed || !str_to_cstr(r->id, l->id, sizeof(l->id)))
		return;
	if (list_message(l)) /* else it has just got a name */
		(void)map_set(l->unnamed, r->id, l);
}

/* New mail that only the commit log knows of. */
static void list_new(struct listing *l)
{
	CLEANUP(file_close) int dir = -1;
	if (!commit_slots_used())
		return;
	l->queue = QUEUE_INCOMING;
	dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	int error = dir < 0 ? dir : segment_unnamed(dir, true, list_unnamed, l);
	if (error != 0)
		log_warning("look for new mail in the commit log: %s", strerror(-error));
}

static void list_queue(struct listing *l)
{
	unsigned seen = 0;
	(void)snprintf(l->where, sizeof(l->where), "%s", l->queue);
	struct queue_scan *scan = queue_scan_new(l->queue);
	if (scan == NULL) {
		log_warning("open directory %s: %s", l->queue, strerror(errno));
		return;
	}
	while (!l->failed && queue_scan_next(scan, l->id)) {
		(void)list_message(l);
		if (++seen % YIELD_EVERY == 0)
			fiber_yield();
	}
	queue_scan_free(scan);
}

static void serve(struct service_client *client)
{
	struct listing l = {.stream = client->stream, .unnamed = map_new()};
	attribute(&l, "protocol", STR("mail_queue_list_protocol"));
	list_end(&l);
	/* At once: it tells the client that somebody is there. */
	if (!l.failed && stream_flush(l.stream) != 0)
		l.failed = true;
	if (!l.failed)
		list_new(&l);
	for (size_t i = 0; i < ARRAY_SIZE(queues) && !l.failed; i++) {
		l.queue = queues[i];
		list_queue(&l);
	}
	list_end(&l);
	if (!l.failed && stream_flush(l.stream) != 0)
		log_debug("client did not read to the end");
	map_free(l.unnamed);
}

static void started(void)
{
	const struct common_params *common = service_common();
	queue_owner = owner_of(common).uid;
}

static const struct service showq_service = {
    .name = "showq",
    .params = showq_param_table,
    .values = &params,
    .sandbox = SANDBOX_QUEUE,
    .started = started,
    .serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(&showq_service, argc, argv);
}
