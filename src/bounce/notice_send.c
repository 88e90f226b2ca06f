/*
 * Who gets a notice, and handing it to cleanup. The notice is committed before its log is
 * unlinked, so that a crash in between repeats it and never loses it.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "bounce/notice.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "mail/received.h"
#include "mail/verp.h"

#define NOTICE_TEXT_MAX (64 * 1024 * 1024)

static bool class_is_on(const char *name)
{
	return str_list_has(str_of(bounce.params.notify_classes), name);
}

/* False with *status_r as cleanup has it, CLEANUP_OK when it did not say. */
static bool submit_text(struct notice *n, struct cleanup_message *m,
    enum cleanup_status *status_r, struct why *why)
{
	CLEANUP(buf_free) struct buf end = BUF_INIT(4096);
	int64_t deadline = service_client_deadline(service_common());
	struct cleanup_result result;
	int error = cleanup_message_add(m, buf_str(n->out), deadline);
	if (error == 0 && !n->no_message)
		error = cleanup_message_copy(
		    m, n->file, n->envelope, notice_headers_only(n), deadline);
	notice_write_end(n, &end);
	if (error == 0)
		error = cleanup_message_add(m, buf_str(&end), deadline);
	if (error == 0)
		error = cleanup_message_finish(m, deadline, &result);
	if (error != 0)
		return why_system(why, -error, "send notice to cleanup");
	*status_r = result.status;
	if (result.status != CLEANUP_OK)
		return why_later(why, "4.3.0", "notice was refused by cleanup: %s",
		    cleanup_status_text(result.status));
	log_info("%.*s: %s: %s", STR_ARG(n->request->id), notice_title(n), result.id);
	return true;
}

static void add_received(struct buf *out, const char *id)
{
	const struct common_params *common = service_common();
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = clock_wall_seconds(),
		.uid = -1});
}

static bool submit(
    struct notice *n, struct str sender, enum cleanup_status *status_r, struct why *why)
{
	int error;
	*status_r = CLEANUP_OK;
	struct cleanup_message *m = cleanup_message_new(
	    bounce.cleanup, service_client_deadline(service_common()), &error);
	if (m == NULL)
		return why_system(why, -error, "reach cleanup for a notice");
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	add_received(&received, cleanup_message_id(m));
	struct timeval now = clock_wall();
	struct cleanup_attribute attributes[] = {
	    {.name = STR("encoding"), .value = STR("8bit")},
	    {.name = STR("rewrite_context"), .value = STR("local")},
	};
	struct cleanup_recipient recipient = {.address = n->recipient};
	struct cleanup_submit envelope = {
	    .flags = CLEANUP_MAP | CLEANUP_COMPLETE |
		(str_list_has(
		     str_of(bounce.params.internal_mail_filter_classes), "bounce")
			? CLEANUP_FILTER
			: 0),
	    .sendopts = (n->request->sendopts & BOUNCE_SMTPUTF8) |
		(notice_is_utf8(n) ? CLEANUP_SENDOPT_SMTPUTF8 : 0),
	    .arrival_seconds = now.tv_sec,
	    .arrival_microseconds = (uint32_t)now.tv_usec,
	    .sender = sender,
	    .received = buf_str(&received),
	    .attributes = attributes,
	    .attributes_count = ARRAY_SIZE(attributes),
	    .recipients = &recipient,
	    .recipients_count = 1,
	};
	error = cleanup_message_begin(
	    m, &envelope, service_client_deadline(service_common()));
	bool done = error == 0 ? submit_text(n, m, status_r, why)
			       : why_system(why, -error, "send notice to cleanup");
	cleanup_message_free(m);
	return done;
}

/* Writes it and hands it over, shorter each time that cleanup finds it too big: no later
 * attempt would find it smaller. */
static bool write_and_submit(struct notice *n, struct str sender, struct why *why)
{
	enum cleanup_status status = CLEANUP_TOO_BIG;
	size_t count, told;
	bool done = false;
	n->most = SIZE_MAX;
	do {
		buf_clear(n->out);
		count = notice_write(n);
		if (count == 0)
			return true;
		told = count < n->most ? count : n->most;
		if (buf_ok(n->out))
			done = submit(n, sender, &status, why);
		else
			(void)why_later(why, "4.3.0", "notice is too big");
	} while (!done && status == CLEANUP_TOO_BIG && notice_shorten(n, told));
	if (done && told < count)
		log_warning("%.*s: only %zu of %zu recipients fit into a notice",
		    STR_ARG(n->request->id), told, count);
	return done;
}

/* One notice to one address; true also when no recipient is spoken of. A notice comes
 * from <>, the postmaster's from double-bounce, so that neither is ever answered to a
 * stranger. What is due is only read: each notice fills in a copy of its own. */
static bool notify(
    const struct notice *due, struct str recipient, bool postmaster, struct why *why)
{
	const struct common_params *common = service_common();
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	CLEANUP(buf_free) struct buf text = BUF_INIT(NOTICE_TEXT_MAX);
	struct notice n = *due;
	n.recipient = recipient;
	n.to_postmaster = postmaster;
	n.out = &text;
	if (!postmaster && !bounce_text(notice_template_of(&n), &n.text, why))
		return false;
	if (postmaster)
		buf_printf(
		    &sender, "%s@%s", common->double_bounce_sender, common->myhostname);
	return write_and_submit(&n, buf_str(&sender), why);
}

static bool is_double_bounce(struct str sender)
{
	struct address_parts parts = address_split(sender);
	return str_is_nocase(parts.local, service_common()->double_bounce_sender);
}

/* To the postmaster, the header only, unless it is all that anybody gets. */
static bool notify_postmaster(
    const struct notice *due, const char *recipient, bool headers_only, struct why *why)
{
	struct notice n = *due;
	n.headers_only = headers_only;
	return notify(&n, str_of(recipient), true, why);
}

/* With a variable return path: a notice for each recipient, to the sender that it was
 * given. */
static bool notify_each(const struct notice *due, struct why *why)
{
	struct notice n = *due;
	struct bounce_log_reader reader;
	struct bounce_entry e;
	bool done = true;
	bounce_log_reader_init(&reader, n.log);
	while (done && bounce_log_next(&reader, &e)) {
		CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
		verp_sender(&sender, n.request->verp, n.sender, e.recipient);
		n.only = e.recipient;
		done = buf_ok(&sender) ? notify(&n, buf_str(&sender), false, why)
				       : why_later(why, "4.3.0", "sender is too long");
	}
	bounce_log_reader_free(&reader);
	return done;
}

static bool notify_sender(const struct notice *n, struct why *why)
{
	return n->request->verp.len == 2 && n->kind == NOTICE_FAILURE
	    ? notify_each(n, why)
	    : notify(n, n->sender, false, why);
}

/*
 * A failure goes to the sender, from <>. When the sender is <> it is a notice itself
 * that failed: the postmaster hears of it when notify_classes has 2bounce, from
 * double-bounce, and a failure of that is dropped.
 */
static bool notify_failure(const struct notice *n, struct why *why)
{
	const struct bounce_params *p = &bounce.params;
	if (is_double_bounce(n->sender)) {
		log_warning("%.*s: undeliverable postmaster notification discarded",
		    STR_ARG(n->request->id));
		return true;
	}
	if (n->sender.len > 0)
		return notify_sender(n, why) &&
		    (!class_is_on("bounce") ||
			notify_postmaster(n, p->bounce_notice_recipient, true, why));
	return !class_is_on("2bounce") ||
	    notify_postmaster(n, p->_2bounce_notice_recipient, false, why);
}

static bool notify_delay(const struct notice *n, struct why *why)
{
	struct str sender = n->sender;
	if (sender.len > 0 && !is_double_bounce(sender) && !notify(n, sender, false, why))
		return false;
	return !class_is_on("delay") ||
	    notify_postmaster(n, bounce.params.delay_notice_recipient, true, why);
}

static bool notify_trace(const struct notice *n, struct why *why)
{
	struct str sender = n->sender;
	bool twice = is_double_bounce(sender);
	if (sender.len > 0 && !twice)
		return notify(n, sender, false, why);
	log_info("%.*s: not sending trace/success notification for %s-bounce message",
	    STR_ARG(n->request->id), twice ? "double" : "single");
	return true;
}

static bool (*const notifiers[])(const struct notice *n, struct why *why) = {
    [NOTICE_FAILURE] = notify_failure,
    [NOTICE_DELAY] = notify_delay,
    [NOTICE_TRACE] = notify_trace,
    [NOTICE_SUCCESS] = notify_trace,
};

/* From the status log, which then goes (but that of a delay). */
static bool notify_from_log(const struct notice *due, struct why *why)
{
	struct notice n = *due;
	struct str id = n.request->id;
	char path[QUEUE_PATH_MAX];
	queue_path(path, service_name(), id);
	CLEANUP(buf_free) struct buf log = BUF_INIT(BOUNCE_LOG_SIZE_MAX);
	int error = file_read_whole(AT_FDCWD, path, &log);
	if (error == -ENOENT) /* sent before a crash, or nothing was wanted */
		return true;
	if (error != 0)
		return why_system(why, -error, "read %s", path);
	n.log = buf_str(&log);
	if (!notifiers[n.kind](&n, why))
		return false;
	return n.kind == NOTICE_DELAY || status_forget(id, why);
}

static bool notice_kind_of(uint8_t notice, enum notice_kind *kind_r)
{
	if (notice < BOUNCE_NOTICE_FAILURE || notice > BOUNCE_NOTICE_SUCCESS)
		return false;
	*kind_r = (enum notice_kind)(notice - BOUNCE_NOTICE_FAILURE);
	return true;
}

/* With the message open. */
static bool with_message(const struct notice *due,
    bool (*send)(const struct notice *n, struct why *why), struct why *why)
{
	struct notice n = *due;
	struct str queue = n.request->queue, id = n.request->id;
	struct queue_file file;
	struct queue_envelope envelope;
	if (!queue_id_valid(id) || !notice_kind_of(n.request->notice, &n.kind))
		return why_later(why, "4.3.0", "malformed notice request");
	int error = queue_file_open_active(&file, queue, id, false, bounce.queue_owner);
	if (error != 0)
		return why_system(
		    why, -error, "open %.*s/%.*s", STR_ARG(queue), STR_ARG(id));
	struct arena *arena = arena_new(1024 * 1024);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	error = queue_file_envelope(&file, arena, &envelope, &reason);
	n.file = &file;
	n.envelope = &envelope;
	bool done = error == 0 ? send(&n, why)
			       : why_later(why, "4.3.0", "%.*s/%.*s is corrupt: %s",
				     STR_ARG(queue), STR_ARG(id), buf_cstr(&reason));
	queue_file_close(&file);
	arena_free(arena);
	return done;
}

bool notice_send(const struct bounce_send *request, struct why *why)
{
	return with_message(
	    &(struct notice){.request = request, .sender = request->sender},
	    notify_from_log, why);
}

bool notice_send_one(const struct bounce_one *request, struct why *why)
{
	CLEANUP(buf_free) struct buf log = BUF_INIT(BOUNCE_LOG_SIZE_MAX);
	for (uint32_t i = 0; i < request->entries_count; i++)
		status_write(&log, &request->entries[i]);
	if (request->entries_count == 0 || !buf_ok(&log))
		return why_later(why, "4.3.0", "malformed notice request");
	const struct bounce_send send = {
	    .notice = BOUNCE_NOTICE_FAILURE,
	    .queue = request->queue,
	    .id = request->entries[0].id,
	    .sender = request->sender,
	    .sendopts = request->sendopts,
	    .encoding = request->encoding,
	};
	const struct notice due = {
	    .request = &send, .sender = request->owner, .log = buf_str(&log)};
	return with_message(&due, notify_failure, why);
}
