/* One maildrop file on its way to cleanup. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "mail/address.h"
#include "mail/received.h"
#include "pickup/pickup.h"
#include "queue/maildrop.h"
#include "service/service.h"

#define MESSAGE_ARENA  (64 * 1024 * 1024) /* recipients, above all */
#define ATTRIBUTES_MAX (QUEUE_ATTRIBUTES_MAX + 1)
#define NAME_MAX_BYTES 64 /* of message/cleanup.h */
#define VALUE_MAX      2048

struct message {
	struct str id; /* of the file */
	struct queue_file file;
	struct arena *arena;
	struct maildrop drop;
	struct cleanup_attribute *attributes;
	uint32_t attribute_count;
	struct cleanup_recipient *recipients;
	bool changed; /* is not what it was when its envelope was read */
};

static void save_corrupt(struct str id, const char *reason)
{
	log_warning("%.*s: message rejected: %s", STR_ARG(id), reason);
	log_warning("saving corrupt file \"%.*s\" from queue \"%s\" to queue \"%s\"",
	    STR_ARG(id), QUEUE_MAILDROP, QUEUE_CORRUPT);
	int error = queue_move(id, QUEUE_MAILDROP, QUEUE_CORRUPT);
	if (error != 0)
		log_warning("rename %s/%.*s to %s: %s", QUEUE_MAILDROP, STR_ARG(id),
		    QUEUE_CORRUPT, strerror(-error));
}

/* --- the envelope in cleanup's words --- */

static void add_attribute(struct message *m, struct str name, struct str value)
{
	if (name.len <= NAME_MAX_BYTES && value.len <= VALUE_MAX &&
	    !str_has_control(value))
		m->attributes[m->attribute_count++] =
		    (struct cleanup_attribute){.name = name, .value = value};
}

/* message_id is found anew in the header, log_ident names the file that was. */
static bool is_made_by_cleanup(struct str name)
{
	return str_is(name, "message_id") || str_is(name, "log_ident");
}

static bool make_lists(struct message *m)
{
	const struct maildrop *d = &m->drop;
	m->attributes =
	    arena_alloc_array(m->arena, ATTRIBUTES_MAX, sizeof(*m->attributes));
	m->recipients =
	    arena_alloc_array(m->arena, d->recipient_count, sizeof(*m->recipients));
	if (m->attributes == NULL || m->recipients == NULL)
		return false;
	if (queue_attribute(&d->envelope, "rewrite_context") == NULL)
		add_attribute(m, STR("rewrite_context"), STR("local"));
	for (size_t i = 0; i < d->envelope.attribute_count; i++) {
		const struct queue_attribute *a = &d->envelope.attributes[i];
		if (!is_made_by_cleanup(a->name))
			add_attribute(m, a->name, a->value);
	}
	for (size_t i = 0; i < d->recipient_count; i++) {
		const struct queue_recipient *r = &d->recipients[i];
		m->recipients[i] = (struct cleanup_recipient){.address = r->address,
		    .original = r->original,
		    .dsn_orcpt = r->dsn_orcpt,
		    .notify = r->notify};
	}
	return true;
}

/* What postsuper put back has its Received field already. */
static void add_received(struct buf *out, const struct message *m, const char *id)
{
	const struct common_params *common = service_common();
	if (m->drop.requeued)
		return;
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = m->drop.envelope.arrival.tv_sec,
		.uid = (int64_t)m->file.status.st_uid});
}

/* Only mail of this system gets its header completed (sendmail -G: remote). */
static uint32_t flags_of(const struct message *m)
{
	const char *context = queue_attribute(&m->drop.envelope, "rewrite_context");
	bool remote = context != NULL && str_is(str_of(context), "remote");
	return remote ? pickup.cleanup_flags & ~(uint32_t)CLEANUP_COMPLETE
		      : pickup.cleanup_flags;
}

/* The owner of the file may have set a time of his own: none to come. */
static struct timeval arrival_of(const struct message *m)
{
	struct timeval now = clock_wall();
	struct timeval arrival = m->drop.envelope.arrival;
	return arrival.tv_sec > now.tv_sec ? now : arrival;
}

static int submit(
    struct message *m, struct cleanup_message *c, struct cleanup_result *result)
{
	const struct queue_envelope *e = &m->drop.envelope;
	int64_t deadline = service_client_deadline(service_common());
	struct timeval arrival = arrival_of(m);
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	add_received(&received, m, cleanup_message_id(c));
	struct cleanup_submit envelope = {
	    .flags = flags_of(m),
	    .sendopts = e->sendopts,
	    .arrival_seconds = arrival.tv_sec,
	    .arrival_microseconds = (uint32_t)arrival.tv_usec,
	    .sender = e->sender,
	    .full_name = str_slice(e->full_name, 0, 1024),
	    .filter = str_of(pickup.params.content_filter),
	    .verp = e->verp.len == 2 ? e->verp : STR_EMPTY,
	    .envelope_id = str_slice(e->envelope_id, 0, 1024),
	    .ret = e->ret,
	    .attributes = m->attributes,
	    .attributes_count = m->attribute_count,
	    .recipients = m->recipients,
	    .recipients_count = (uint32_t)m->drop.recipient_count,
	    .received = buf_str(&received),
	};
	int error = cleanup_message_begin(c, &envelope, deadline);
	if (error == 0) {
		error = cleanup_message_copy(c, &m->file, e, false, deadline);
		m->changed = error == -EBADMSG;
	}
	return error != 0 ? error : cleanup_message_finish(c, deadline, result);
}

static void log_pickup(const struct message *m, const char *id)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX * 2 + 200);
	buf_printf(&text, "%s: uid=%d from=<", id, (int)m->file.status.st_uid);
	address_add_log(&text, m->drop.envelope.sender);
	buf_add_char(&text, '>');
	if (m->drop.requeued)
		buf_printf(&text, " orig_id=%.*s", STR_ARG(m->id));
	log_info("%s", buf_cstr(&text));
}

/* --- the file --- */

static void remove_file(struct str id)
{
	int error = queue_remove(QUEUE_MAILDROP, id);
	if (error != 0)
		log_warning("remove %s/%.*s: %s (its message will be sent again)",
		    QUEUE_MAILDROP, STR_ARG(id), strerror(-error));
}

static void stays(const struct message *m, const char *reason)
{
	log_warning(
	    "%s/%.*s stays there for now: %s", QUEUE_MAILDROP, STR_ARG(m->id), reason);
}

/* After cleanup's answer. */
static void finish(const struct message *m, const struct cleanup_result *result)
{
	const char *text = result->reason[0] != '\0'
	    ? result->reason
	    : cleanup_status_text(result->status);
	if (result->status == CLEANUP_OK)
		remove_file(m->id);
	else if (cleanup_status_code(result->status) < 500)
		stays(m, text);
	else
		save_corrupt(m->id, text);
}

static bool hand_over(struct message *m)
{
	int error = 0;
	struct cleanup_result result;
	struct cleanup_message *c = cleanup_message_new(
	    pickup.cleanup, service_client_deadline(service_common()), &error);
	if (c == NULL) {
		stays(m, strerror(-error));
		return false;
	}
	cleanup_message_shown(c);
	log_pickup(m, cleanup_message_id(c));
	error = submit(m, c, &result);
	cleanup_message_free(c);
	if (error == 0)
		finish(m, &result);
	else if (m->changed)
		save_corrupt(m->id, "changed while it was read");
	else
		stays(m, strerror(-error));
	return error == 0 || m->changed;
}

static bool take_file(struct message *m)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	bool own = m->file.status.st_uid == pickup.mail_owner;
	int error = maildrop_read(&m->file, own, m->arena, &m->drop, &reason);
	if (error == -EBADMSG) {
		save_corrupt(m->id, buf_cstr(&reason));
		return true;
	}
	if (error == 0 && m->drop.recipient_count == 0) {
		log_info("%.*s: removed", STR_ARG(m->id)); /* all were done */
		remove_file(m->id);
		return true;
	}
	if (error == -ENOMEM || (error == 0 && !make_lists(m))) {
		save_corrupt(m->id, "too many recipients");
		return true;
	}
	if (error < 0) {
		stays(m, strerror(-error));
		return true;
	}
	return hand_over(m);
}

bool message_take(struct str id)
{
	struct message m = {.id = id};
	int error = queue_file_open(&m.file, QUEUE_MAILDROP, id, false, true, (uid_t)-1);
	if (error == -EBUSY || error == -ENOENT || error == -EWOULDBLOCK)
		return true; /* being written, or gone */
	if (error == -EBADMSG) {
		save_corrupt(id, "marked as corrupt");
		return true;
	}
	if (error != 0) {
		log_warning("open %s/%.*s: %s", QUEUE_MAILDROP, STR_ARG(id),
		    error == -EPERM ? "not a regular file with one name"
				    : strerror(-error));
		return true;
	}
	bool go_on = true;
	/* A second name would let somebody keep the file when we remove it; a rename by
	 * link and unlink has two for a moment. */
	if (m.file.status.st_nlink == 1) {
		m.arena = arena_new(MESSAGE_ARENA);
		go_on = take_file(&m);
		arena_free(m.arena);
	}
	queue_file_close(&m.file);
	return go_on;
}
