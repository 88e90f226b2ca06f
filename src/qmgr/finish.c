/* What becomes of a message when every recipient has had its attempt. */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "client/bounce_client.h"
#include "mail/log_lines.h"
#include "message/delivery.h"
#include "queue/commit.h"

static int send_notice(
    const struct message *m, struct ipc_client *service, enum bounce_notice notice)
{
	const char *encoding = queue_attribute(&m->envelope, "encoding");
	return bounce_client_send(service,
	    &(struct bounce_send){.notice = (uint8_t)notice,
		.queue = str_of(m->queue),
		.id = str_of(m->id),
		.sender = m->envelope.sender,
		.envelope_id = m->envelope.envelope_id,
		.ret = m->envelope.ret,
		.sendopts = m->envelope.sendopts,
		.verp = qmgr.params.disable_verp_bounces ? STR_EMPTY : m->envelope.verp,
		.encoding = str_of(encoding)});
}

static bool log_exists(const char *queue, const char *id)
{
	char path[QUEUE_PATH_MAX];
	queue_path(path, queue, str_of(id));
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Tells the sender of recipients that failed for good. */
static bool bounce(struct message *m)
{
	if (!m->bounced || !log_exists(QUEUE_BOUNCE, m->id))
		return true;
	int error = send_notice(m, qmgr.bounce, BOUNCE_NOTICE_FAILURE);
	if (error != 0)
		log_warning(
		    "%s: notice of failure is not sent yet: %s", m->id, strerror(-error));
	return error == 0;
}

/* Reports go out after each attempt: of a probe, of a message sent with -v, and of
 * success where the sender asked for it (RFC 3461) or had been told of a delay. */
static bool report(struct message *m)
{
	const uint32_t success = DSN_NOTIFY_SUCCESS << 1; /* as the size record has it */
	bool asked = (m->flags & (DELIVERY_VERIFY | DELIVERY_TRACE)) != 0;
	bool told = (m->envelope.flags & success) != 0 ||
	    (m->flags & DELIVERY_DELAY_CLEARED) != 0;
	if ((!asked && !told) || !log_exists(QUEUE_TRACE, m->id))
		return true;
	int error = send_notice(
	    m, qmgr.trace, asked ? BOUNCE_NOTICE_TRACE : BOUNCE_NOTICE_SUCCESS);
	if (error != 0)
		log_warning(
		    "%s: delivery report is not sent yet: %s", m->id, strerror(-error));
	m->reported = asked && error == 0;
	return error == 0;
}

static int64_t age_of(const struct message *m)
{
	return clock_wall_seconds() - m->envelope.arrival.tv_sec;
}

static bool is_expired(const struct message *m)
{
	int64_t lifetime = m->envelope.sender.len > 0 ? qmgr.params.maximal_queue_lifetime
						      : qmgr.params.bounce_queue_lifetime;
	return m->expire_now || age_of(m) >= lifetime;
}

/* The deferred recipients become failed ones: the notice is made from the defer log, and
 * the message goes with all that the log does not speak of. */
static bool expire(struct message *m)
{
	int error = reasons_complete(m);
	if (error != 0) {
		log_warning("%s: not returned yet: reasons are not complete: %s", m->id,
		    strerror(-error));
		return false;
	}
	log_expired(str_of(m->id), m->envelope.sender, m->expire_now);
	error = send_notice(m, qmgr.defer, BOUNCE_NOTICE_FAILURE);
	if (error != 0)
		log_warning(
		    "%s: notice of expiry is not sent yet: %s", m->id, strerror(-error));
	return error == 0;
}

static void warn_of_delay(struct message *m, struct queue_file *f)
{
	/* A second early, as Postfix: the time in the file is rounded. */
	if (m->envelope.warn_time <= 0 ||
	    clock_wall_seconds() < m->envelope.warn_time - 1)
		return;
	int error = send_notice(m, qmgr.defer, BOUNCE_NOTICE_DELAY);
	if (error == 0)
		error = queue_file_set_warn(f, m->envelope.warn_offset, -1);
	if (error != 0)
		log_warning(
		    "%s: notice of delay is not sent yet: %s", m->id, strerror(-error));
}

/* One report of the first attempt, as Postfix. */
static void report_no_more(const struct message *m, struct queue_file *f)
{
	int error = m->reported && m->envelope.trace_offset > 0
	    ? queue_file_kill_attribute(f, m->envelope.trace_offset)
	    : 0;
	if (error != 0)
		log_warning("%s: cannot note that the delivery report was sent: %s",
		    m->id, strerror(-error));
}

/* The longer a message has waited, the longer it waits again. */
static int64_t next_attempt(const struct message *m)
{
	int64_t wait = age_of(m);
	if (wait > qmgr.params.maximal_backoff_time)
		wait = qmgr.params.maximal_backoff_time;
	if (wait < qmgr.params.minimal_backoff_time)
		wait = qmgr.params.minimal_backoff_time;
	return clock_wall_seconds() + wait;
}

/* An administrator may have put the file elsewhere meanwhile (postsuper). What lies
 * without a name would be new mail again for whoever finds it. */
static void warn_unless_taken(struct message *m, const char *action, int error)
{
	if (error >= 0 || error == -ENOENT)
		return;
	log_warning("%s %s %s: %s", action, m->queue, m->id, strerror(-error));
	if (m->place != 0)
		fresh_move(m);
	intake_left_lying();
}

static void defer(struct message *m)
{
	struct queue_file f;
	int error =
	    queue_file_open(&f, m->queue, str_of(m->id), true, false, qmgr.queue_owner);
	if (error < 0) {
		warn_unless_taken(m, "open", error);
		return;
	}
	warn_of_delay(m, &f);
	report_no_more(m, &f);
	struct timespec when = {.tv_sec = next_attempt(m)};
	const struct timespec times[] = {when, when};
	if (futimens(f.fd, times) != 0)
		log_warning("%s: set time stamp: %s", m->id, strerror(errno));
	/* Some recipients may be done, and agents do not sync their marks: nobody shall
	 * get the message again after a power cut in the hours that it waits. */
	error = m->read > 1 ? commit_sync_fd(f.fd) : 0;
	if (error != 0)
		log_warning("%s: sync: %s", m->id, strerror(-error));
	queue_file_close(&f);
	error = queue_move(str_of(m->id), m->queue, QUEUE_DEFERRED);
	warn_unless_taken(m, "move to deferred", error);
}

static int remove_file(const struct message *m)
{
	if (m->fd >= 0)
		return commit_message_end_open(m->fd, m->size);
	if (m->place != 0)
		return commit_message_end(m->place, str_of(m->id));
	/* A large file would keep its space for the next small message. */
	return m->envelope.message_size <= COMMIT_MEMORY
	    ? commit_pool_remove(qmgr.pool, m->queue, str_of(m->id))
	    : queue_remove(m->queue, str_of(m->id));
}

static void remove_message(struct message *m)
{
	int error = remove_file(m);
	warn_unless_taken(m, "remove", error);
	if (error != 0)
		return;
	commit_notes_removed(qmgr.notes, str_of(m->id), m->envelope.arrival);
	log_removed(str_of(m->id));
}

void message_finish(struct message *m)
{
	bool told = bounce(m);
	told = report(m) && told;
	if (told && m->left && is_expired(m))
		m->left = !expire(m);
	if (told && !m->left)
		remove_message(m);
	else
		defer(m);
	message_free(m);
}
