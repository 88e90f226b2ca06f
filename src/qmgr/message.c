/* A queue file becomes active: its envelope and first recipients are read. */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "mail/log_lines.h"
#include "message/delivery.h"

#define MESSAGE_ARENA (512 * 1024)
#define OPEN_MAX      200 /* files that stay open until their message is over */

static unsigned open_files;

static int64_t wall_microseconds(void)
{
	struct timeval now = clock_wall();
	return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

static bool is_probe(const struct message *m)
{
	return (m->flags & DELIVERY_TELL_VERIFY) != 0;
}

/* Most are over in a moment: to open them again then would cost more than to wait. */
static void keep_open(struct message *m, struct queue_file *f)
{
	if (m->place == 0 || open_files == OPEN_MAX)
		return;
	file_unlock(f->fd);
	open_files++;
	m->fd = f->fd;
	m->size = f->status.st_size;
	f->fd = -1;
}

void message_close(struct message *m)
{
	open_files -= m->fd >= 0;
	file_close(&m->fd);
}

void message_free(struct message *m)
{
	message_close(m);
	(void)map_remove(qmgr.messages, str_of(m->id));
	list_remove(&m->fresh);
	qmgr.old_messages -= m->old;
	qmgr.probes -= is_probe(m);
	arena_free(m->arena);
	intake_wake();
}

static void save_corrupt(struct str id, const char *queue, const struct buf *reason)
{
	log_warning("%.*s: message rejected: %s", STR_ARG(id), buf_cstr(reason));
	log_warning("saving corrupt file \"%.*s\" from queue \"%s\" to queue \"%s\"",
	    STR_ARG(id), queue, QUEUE_CORRUPT);
	int error = queue_move(id, queue, QUEUE_CORRUPT);
	if (error != 0)
		log_warning(
		    "%.*s: move to %s: %s", STR_ARG(id), QUEUE_CORRUPT, strerror(-error));
}

/*
 * Opens a file of incoming or deferred, or at a place. Files that are not ready, gone, or
 * locked by somebody who still works on them are passed by.
 */
static bool open_file(
    struct queue_file *f, const char *queue, const struct commit_message *c)
{
	struct str id = str_of(c->id);
	int error = queue_file_open(f, queue, id, c->place != 0, true, qmgr.queue_owner);
	if (error == 0)
		return true;
	if (error == -EWOULDBLOCK) {
		/* In incoming it is cleanup's, and not safe yet. */
		if (strcmp(queue, QUEUE_INCOMING) != 0)
			log_info("%.*s: skipped, still being delivered", STR_ARG(id));
		intake_again_soon();
	} else if (error == -EBADMSG) {
		CLEANUP(buf_free) struct buf reason = BUF_INIT(64);
		buf_add_cstr(&reason, "marked as corrupt");
		save_corrupt(id, queue, &reason);
	} else if (error != -ENOENT && error != -EBUSY) {
		log_warning("open %s %.*s: %s", queue, STR_ARG(id), strerror(-error));
		intake_left_lying();
	}
	return false;
}

static struct message *message_new(struct str id)
{
	struct arena *arena = arena_new(MESSAGE_ARENA);
	struct message *m = arena_alloc(arena, sizeof(*m));
	ENSURE(m != NULL);
	m->arena = arena;
	m->fd = -1;
	m->active_since = wall_microseconds();
	list_init(&m->fresh);
	list_init(&m->jobs);
	memcpy(m->id, id.p, id.len);
	return m;
}

static bool log_exists(const char *queue, struct str id)
{
	char path[QUEUE_PATH_MAX];
	struct stat status;
	queue_path(path, queue, id);
	return file_stat_at(AT_FDCWD, path, &status) == 0;
}

/* What was asked for with this message, by its sender or by the administrator. */
static void take_flags(struct message *m, const struct queue_file *f)
{
	const char *asked = queue_attribute(&m->envelope, "trace_flags");
	int64_t trace = 0;
	bool expire = (f->status.st_mode & QUEUE_MODE_EXPIRE) != 0;
	m->expire_now = expire;
	m->unthrottle = (f->status.st_mode & QUEUE_MODE_UNTHROTTLE) != 0;
	if (m->unthrottle &&
	    fchmod(f->fd, f->status.st_mode & 07777 & ~(mode_t)QUEUE_MODE_UNTHROTTLE) !=
		0)
		log_warning("%s: change mode: %s", m->id, strerror(errno));
	if (asked != NULL && !str_to_range(str_of(asked), 0, UINT32_MAX, &trace))
		trace = 0;
	if (trace & QUEUE_TRACE_PROBE)
		m->flags |= DELIVERY_VERIFY;
	if (trace & QUEUE_TRACE_VERIFY)
		m->flags |= DELIVERY_VERIFY | DELIVERY_TELL_VERIFY;
	if (trace & QUEUE_TRACE_REPORT)
		m->flags |= DELIVERY_TRACE;
	if (m->envelope.warn_time < 0 && qmgr.params.confirm_delay_cleared)
		m->flags |= DELIVERY_DELAY_CLEARED;
}

/* The file is locked and open as `f`. NULL: nothing to deliver now. */
static struct message *message_load(
    struct queue_file *f, const char *queue, const struct commit_message *c)
{
	struct str id = str_of(c->id);
	struct message *m = message_new(id);
	bool new = !str_is(str_of(queue), QUEUE_DEFERRED);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	int error = queue_file_envelope(f, m->arena, &m->envelope, &reason);
	m->old = !new;
	m->place = c->place;
	m->queue = new ? arena_cstr(m->arena, str_of(queue)) : QUEUE_ACTIVE;
	if (m->queue == NULL)
		error = -ENOMEM;
	if (error == 0 && m->old)
		error = queue_move(id, queue, m->queue);
	if (error == 0) {
		take_flags(m, f);
		if (!m->old)
			fresh_add(m);
		qmgr.old_messages += m->old;
		qmgr.probes += is_probe(m);
		(void)map_set(qmgr.messages, str_of(m->id), m);
		return m;
	}
	if (error == -EBADMSG) {
		save_corrupt(id, queue, &reason);
	} else {
		log_warning("%.*s: move from %s to %s: %s", STR_ARG(id), queue,
		    QUEUE_ACTIVE, strerror(-error));
		intake_left_lying();
	}
	arena_free(m->arena);
	return NULL;
}

/* The defer log of the attempt before. */
static void forget_reasons(struct str id)
{
	int error = queue_remove(QUEUE_DEFER, id);
	if (error != 0 && error != -ENOENT)
		log_warning(
		    "remove %s/%.*s: %s", QUEUE_DEFER, STR_ARG(id), strerror(-error));
}

/* New mail has no logs; what an earlier qmgr had active, a crash brought back, or the
 * flush service woke, may. */
static bool may_have_logs(const struct message *m, const char *queue)
{
	return str_is(str_of(queue), QUEUE_DEFERRED) || m->unthrottle ||
	    m->envelope.arrival.tv_sec <= qmgr.logs_before;
}

/* Forced expiry tells the sender the reasons of the last attempt. A message without any
 * has its attempt first; so has one whose attempt was cut short by the end of a qmgr,
 * for most of its recipients may not have had theirs. */
static bool is_to_be_tried(const struct message *m)
{
	return !m->expire_now || !m->old || !log_exists(QUEUE_DEFER, str_of(m->id));
}

/* An announcement may be repeated after its message was settled: then there is nothing,
 * or another message. */
static bool is_meant(const struct message *m, const struct commit_message *c)
{
	return m->envelope.arrival.tv_sec == c->arrival.tv_sec &&
	    m->envelope.arrival.tv_usec == c->arrival.tv_usec;
}

bool message_activate(const char *queue, const struct commit_message *c)
{
	struct queue_file f;
	struct str id = str_of(c->id);
	if (map_get(qmgr.messages, id) != NULL || !open_file(&f, queue, c))
		return false;
	struct message *m =
	    c->place == 0 || queue_file_lies(&f, id) ? message_load(&f, queue, c) : NULL;
	if (m != NULL && c->place != 0 && !is_meant(m, c)) {
		message_free(m);
		m = NULL;
	}
	if (m == NULL) {
		queue_file_close(&f);
		return false;
	}
	log_queue_active(id, m->envelope.sender, m->envelope.message_size,
	    m->envelope.recipient_count);
	bool attempt = is_to_be_tried(m);
	m->bounced = may_have_logs(m, queue);
	if (attempt && m->bounced)
		forget_reasons(id);
	m->reading = true;
	m->next_offset = attempt ? 0 : -1;
	m->left = !attempt;
	if (attempt)
		portion_take(m, &f);
	keep_open(m, &f);
	queue_file_close(&f);
	m->reading = false;
	message_entry_done(m);
	return true;
}

static void finish(void *argument)
{
	message_finish(argument);
}

void message_entry_done(struct message *m)
{
	portion_refill(m);
	if (m->reading || m->entries > 0)
		return;
	m->reading = true; /* nothing else touches it from here on */
	if (fiber_start("finish", finish, m) != 0)
		panic("no fiber to finish %s", m->id);
}
