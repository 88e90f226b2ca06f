#include "deliver/delivery.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "client/bounce_client.h"
#include "client/service_client.h"
#include "mail/log_lines.h"

#define DELIVERY_ARENA \
	(8 * 1024 * 1024) /* a frame's worth of recipients and all their failures */

static struct {
	const struct common_params *common;
	uid_t owner;
	struct ipc_client *bounce, *defer;
} environment;

void delivery_open(const struct common_params *common, uid_t queue_owner)
{
	environment.common = common;
	environment.owner = queue_owner;
	environment.bounce =
	    service_client_new(common, SERVICE_PRIVATE, common->bounce_service_name);
	environment.defer =
	    service_client_new(common, SERVICE_PRIVATE, common->defer_service_name);
	log_delays_digits((int)common->delay_logging_resolution_limit);
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
}

static int64_t wall_microseconds(void)
{
	struct timeval now = clock_wall();
	return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

static int64_t not_negative(int64_t value)
{
	return value > 0 ? value : 0;
}

static void log_result(const struct delivery *d, size_t index, struct log_delivery line)
{
	const struct delivery_request *r = &d->request;
	int64_t now = wall_microseconds();
	int64_t connected = d->connected != 0 ? d->connected : d->started;
	line.queue_id = r->id;
	line.recipient = d->recipients[index].request->address;
	line.original = d->recipients[index].request->original;
	if (line.relay.len == 0)
		line.relay = str_of(d->relay);
	line.delays = (struct log_delays){
	    .before_qmgr = not_negative(r->active - r->arrival),
	    .in_qmgr = not_negative(d->started - r->active),
	    .setup = not_negative(connected - d->started),
	    .transmission = not_negative(now - connected),
	};
	log_delivery(&line);
}

static void mark_done(const struct delivery *d, size_t index)
{
	const struct delivery_recipient *r = d->recipients[index].request;
	int error = queue_file_mark_done(d->file.fd, r->offset);
	if (error != 0)
		log_warning("%.*s: cannot mark recipient at offset %lld as done: %s",
		    STR_ARG(d->request.id), (long long)r->offset, strerror(-error));
}

void delivery_sent(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text)
{
	d->recipients[index].result = DELIVERY_SENT;
	log_result(d, index,
	    (struct log_delivery){.relay = relay,
		.reused = reused,
		.status = str_of(status),
		.word = "sent",
		.text = text});
	mark_done(d, index);
}

static struct str keep(struct delivery *d, struct str s)
{
	struct str copy = arena_str(d->arena, s);
	return copy.p != NULL ? copy : STR_EMPTY;
}

void delivery_failed(
    struct delivery *d, size_t index, struct str relay, const struct why *why)
{
	struct delivery_rcpt *rcpt = &d->recipients[index];
	bool later = why_is_later(why) || environment.common->soft_bounce;
	rcpt->result = later ? DELIVERY_DEFERRED : DELIVERY_BOUNCED;
	rcpt->failure = (struct delivery_failure){
	    .relay = keep(d, relay),
	    .status = keep(d, str_of(why->status)),
	    .text = keep(d, buf_str(&why->text)),
	    .diag_type = keep(d, buf_str(&why->diag_type)),
	    .diag_text = keep(d, buf_str(&why->diag_text)),
	    .mta_name = keep(d, buf_str(&why->mta_name)),
	    .reused = d->reused,
	    .soft = later && !why_is_later(why),
	};
	if (later && rcpt->failure.status.len > 0 && rcpt->failure.status.p[0] == '5') {
		const char *soft = arena_printf(
		    d->arena, "4%.*s", STR_ARG(str_skip(rcpt->failure.status, 1)));
		rcpt->failure.status = str_of(soft);
	}
}

void delivery_failed_rest(struct delivery *d, struct str relay, const struct why *why)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_PENDING)
			delivery_failed(d, i, relay, why);
}

bool delivery_retry(struct delivery *d)
{
	struct str logged = STR_EMPTY;
	bool left = false;
	for (size_t i = 0; i < d->count; i++) {
		struct delivery_rcpt *rcpt = &d->recipients[i];
		const struct delivery_failure *f = &rcpt->failure;
		left = left || rcpt->result == DELIVERY_PENDING;
		if (rcpt->result != DELIVERY_DEFERRED || f->soft)
			continue;
		if (!str_is(f->relay, "none") && !str_equal(f->text, logged))
			log_info("%.*s: %.*s", STR_ARG(d->request.id), STR_ARG(f->text));
		logged = f->text;
		rcpt->result = DELIVERY_PENDING;
		left = true;
	}
	return left;
}

/* RFC 3461 4.1: a failure is not reported when NOTIFY was given without FAILURE. */
static bool wants_failure_notice(const struct delivery_recipient *r)
{
	return r->notify == 0 || (r->notify & DSN_NOTIFY_FAILURE) != 0;
}

static void fill_entry(const struct delivery *d, size_t index, struct bounce_add_entry *e)
{
	const struct delivery_rcpt *rcpt = &d->recipients[index];
	const struct delivery_recipient *r = rcpt->request;
	*e = (struct bounce_add_entry){
	    .id = d->request.id,
	    .offset = r->offset,
	    .recipient = r->address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify,
	    .status = rcpt->failure.status,
	    .action = rcpt->result == DELIVERY_BOUNCED ? STR("failed") : STR("delayed"),
	    .reason = rcpt->failure.text,
	    .diag_type = rcpt->failure.diag_type,
	    .diag_text = rcpt->failure.diag_text,
	    .mta_name = rcpt->failure.mta_name,
	};
}

/* One append for all recipients of this result. 0, or why the log could not take them. */
static int append_failures(const struct delivery *d, enum delivery_result result)
{
	struct bounce_append entries = {
	    .entries = arena_alloc_array(d->arena, d->count, sizeof(*entries.entries))};
	if (entries.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++) {
		const struct delivery_rcpt *rcpt = &d->recipients[i];
		bool silent =
		    result == DELIVERY_BOUNCED && !wants_failure_notice(rcpt->request);
		if (rcpt->result == result && !silent)
			fill_entry(d, i, &entries.entries[entries.entries_count++]);
	}
	if (entries.entries_count == 0)
		return 0;
	return bounce_client_append(
	    result == DELIVERY_BOUNCED ? environment.bounce : environment.defer,
	    &entries);
}

static void log_failures(const struct delivery *d, enum delivery_result result)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct delivery_failure *f = &d->recipients[i].failure;
		if (d->recipients[i].result != result)
			continue;
		log_result(d, i,
		    (struct log_delivery){.relay = f->relay,
			.reused = f->reused,
			.status = f->status,
			.word = result == DELIVERY_BOUNCED ? "bounced"
			    : f->soft                      ? "SOFTBOUNCE"
							   : "deferred",
			.text = f->text});
		if (result == DELIVERY_BOUNCED)
			mark_done(d, i);
	}
}

/* A recipient whose failure could not be recorded stays in the queue. */
static void bounce_becomes_deferral(struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct delivery_rcpt *rcpt = &d->recipients[i];
		if (rcpt->result != DELIVERY_BOUNCED)
			continue;
		rcpt->result = DELIVERY_DEFERRED;
		rcpt->failure.status = STR("4.3.0");
		rcpt->failure.text = STR("bounce or trace service failure");
	}
}

static void finish_failures(struct delivery *d)
{
	int error = append_failures(d, DELIVERY_BOUNCED);
	if (error == 0)
		log_failures(d, DELIVERY_BOUNCED);
	else
		bounce_becomes_deferral(d);
	error = append_failures(d, DELIVERY_DEFERRED);
	if (error != 0)
		log_warning("%.*s: defer service failure: %s", STR_ARG(d->request.id),
		    strerror(-error));
	log_failures(d, DELIVERY_DEFERRED);
}

static bool any_deferred(const struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_DEFERRED)
			return true;
	return false;
}

/* Everything is copied: the payload lives only until the next call on the exchange. */
static bool request_read(struct delivery *d, struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (ipc_receive(x, &type, &payload, deadline_after_ms(60000)) != 0 ||
	    type != delivery_request_type)
		return false;
	payload = arena_str(d->arena, payload);
	if (payload.p == NULL || !delivery_request_read(payload, d->arena, &d->request))
		return false;
	const struct delivery_request *r = &d->request;
	if (!str_is(r->queue, QUEUE_ACTIVE) || !queue_id_valid(r->id) ||
	    r->recipients_count == 0)
		return false;
	d->count = r->recipients_count;
	d->recipients = arena_alloc_array(d->arena, d->count, sizeof(*d->recipients));
	for (size_t i = 0; d->recipients != NULL && i < d->count; i++)
		d->recipients[i].request = &r->recipients[i];
	return d->recipients != NULL;
}

static bool message_open(struct delivery *d, struct why *why)
{
	int error = queue_file_open(
	    &d->file, QUEUE_ACTIVE, d->request.id, true, false, environment.owner);
	if (error != 0)
		return why_system(
		    why, -error, "open %s %.*s", QUEUE_ACTIVE, STR_ARG(d->request.id));
	/* Shared: a restarted qmgr sees that the message is still being delivered. */
	error = file_try_lock(d->file.fd, FILE_LOCK_SHARED);
	if (error != 0) {
		queue_file_close(&d->file);
		return why_system(
		    why, -error, "lock %s %.*s", QUEUE_ACTIVE, STR_ARG(d->request.id));
	}
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	error = queue_file_envelope(&d->file, d->arena, &d->envelope, &reason);
	if (error == 0)
		return true;
	queue_file_close(&d->file);
	return why_later(why, "4.3.0", "queue file is corrupt: %s", buf_cstr(&reason));
}

static void reply(struct ipc_exchange *x, const struct delivery *d)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WHY_TEXT_MAX + 256);
	delivery_reply_write(&bytes,
	    &(struct delivery_reply){
		.left = any_deferred(d),
		.hop_status = str_of(d->hop.status),
		.hop_text = buf_str(&d->hop.text),
	    });
	if (ipc_reply(x, delivery_reply_type, buf_str(&bytes)) != 0)
		log_debug(
		    "%.*s: qmgr did not wait for the outcome", STR_ARG(d->request.id));
}

static void deliver_message(struct delivery *d, void (*deliver)(struct delivery *d))
{
	struct why why;
	why_init(&why);
	if (message_open(d, &why)) {
		deliver(d);
		(void)why_later(&why, "4.3.0", "delivery agent gave no result");
		delivery_failed_rest(d, STR_EMPTY, &why);
		finish_failures(d);
		queue_file_close(&d->file);
	} else {
		/* Nothing to mark in: the recipients stay; qmgr finds out about the file.
		 */
		log_warning("%.*s: %s", STR_ARG(d->request.id), buf_cstr(&why.text));
		for (size_t i = 0; i < d->count; i++)
			d->recipients[i].result = DELIVERY_DEFERRED;
	}
	why_free(&why);
}

void delivery_serve(
    struct ipc_exchange *x, const char *relay, void (*deliver)(struct delivery *d))
{
	struct delivery d = {.started = wall_microseconds(),
	    .relay = relay,
	    .arena = arena_new(DELIVERY_ARENA)};
	why_init(&d.hop);
	if (request_read(&d, x)) {
		deliver_message(&d, deliver);
		reply(x, &d);
	} else {
		log_warning("malformed delivery request");
	}
	why_free(&d.hop);
	arena_free(d.arena);
}
