#include "deliver/delivery.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "deliver/outcome.h"
#include "mail/dsn.h"
#include "table/maps.h"

#define DELIVERY_ARENA \
	(8 * 1024 * 1024) /* a frame's worth of recipients and all their failures */

static struct {
	struct maps *maps; /* NULL: none */
	const char *title;
} filter;

static struct list_link under_way = LIST_INIT(under_way); /* with an open queue file */

void delivery_leave_others(const struct delivery *d)
{
	struct delivery *other;
	LIST_FOREACH (other, &under_way, struct delivery, link)
		if (other != d)
			file_close(&other->file.fd);
}

static struct str keep(struct delivery *d, struct str s)
{
	struct str copy = arena_str(d->arena, s);
	return copy.p != NULL ? copy : STR_EMPTY;
}

void delivery_filter(const char *title, const char *maps)
{
	filter.maps = maps[0] != '\0' ? maps_open(title, maps, 0) : NULL;
	filter.title = title;
}

bool delivery_filter_changed(void)
{
	return filter.maps != NULL && maps_changed(filter.maps);
}

/* False: there is nothing in the table for this, or nothing good. */
static bool filtered(const struct why *from, struct why *to)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(TABLE_KEY_MAX);
	CLEANUP(buf_free) struct buf value = BUF_INIT(WHY_TEXT_MAX);
	if (filter.maps == NULL)
		return false;
	buf_printf(&key, "%s %s", from->status, buf_cstr(&from->text));
	if (maps_lookup(filter.maps, buf_str(&key), false, &value) != TABLE_FOUND)
		return false;
	struct str text = buf_str(&value);
	size_t status = dsn_status_at(text);
	char code[DSN_STATUS_MAX];
	if (status == 0 || (text.p[0] == '2') != (from->status[0] == '2') ||
	    !str_to_cstr(str_slice(text, 0, status), code, sizeof(code))) {
		log_warning("%s: bad status code: %s", filter.title, buf_cstr(&value));
		return false;
	}
	text = str_trim(str_skip(text, status));
	why_copy(to, from);
	buf_clear(&to->text);
	buf_add_str(&to->text, text);
	memcpy(to->status, code, sizeof(code));
	return true;
}

static void success(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text);

void delivery_sent(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text)
{
	struct why plain, changed;
	if (filter.maps == NULL) {
		success(d, index, relay, reused, status, text);
		return;
	}
	why_init(&plain);
	why_init(&changed);
	(void)why_never(&plain, status, "%.*s", STR_ARG(text));
	plain.status[0] = '2';
	const struct why *use = filtered(&plain, &changed) ? &changed : &plain;
	success(
	    d, index, relay, reused, keep(d, str_of(use->status)).p, buf_str(&use->text));
	why_free(&plain);
	why_free(&changed);
}

static void success(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text)
{
	struct delivery_rcpt *rcpt = &d->recipients[index];
	rcpt->result = DELIVERY_SENT;
	rcpt->failure = (struct delivery_failure){
	    .relay = relay, .status = str_of(status), .text = text, .reused = reused};
	if (!outcome_is_traced(d, index)) {
		outcome_done(d, index);
		return;
	}
	/* Told when its entry is in the trace log. */
	struct delivery_failure *f = &rcpt->failure;
	f->relay = keep(d, relay);
	f->status = keep(d, f->status);
	f->text = keep(d, text);
	if (d->peer.len > 0) {
		f->diag_type = STR("smtp");
		f->diag_text = f->text;
		f->mta_name = keep(d, d->peer);
	}
}

static void failure(
    struct delivery *d, size_t index, struct str relay, const struct why *why)
{
	struct delivery_rcpt *rcpt = &d->recipients[index];
	/* A probe tells what is so: nothing is returned that could be kept. */
	bool probe = (d->request.flags & DELIVERY_VERIFY) != 0;
	bool later = why_is_later(why) || (outcome_soft_bounce() && !probe);
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
	if (rcpt->owned && !later)
		outcome_tell_owner(d, index);
}

void delivery_failed(
    struct delivery *d, size_t index, struct str relay, const struct why *why)
{
	struct why changed;
	why_init(&changed);
	failure(d, index, relay, filtered(why, &changed) ? &changed : why);
	why_free(&changed);
}

void delivery_divide(struct delivery *d, size_t index)
{
	d->recipients[index].result = DELIVERY_DIVIDED;
}

size_t delivery_part(struct delivery *d, size_t index, struct str address)
{
	struct delivery_recipient *request = arena_alloc(d->arena, sizeof(*request));
	if (d->count >= d->room) {
		size_t room = d->count * 2;
		struct delivery_rcpt *more =
		    arena_alloc_array(d->arena, room, sizeof(*more));
		if (more == NULL)
			return SIZE_MAX;
		memcpy(more, d->recipients, d->count * sizeof(*more));
		d->recipients = more;
		d->room = room;
	}
	if (request == NULL)
		return SIZE_MAX;
	const struct delivery_rcpt *whole = &d->recipients[index];
	*request = *whole->request;
	request->address = address;
	if (request->original.len == 0)
		request->original = whole->request->address;
	d->recipients[d->count] = (struct delivery_rcpt){.request = request,
	    .sender = whole->sender,
	    .delivered_to = whole->delivered_to,
	    .part = true};
	return d->count++;
}

static struct delivery_recipient *own_request(struct delivery *d, size_t index)
{
	struct delivery_recipient *request = arena_alloc(d->arena, sizeof(*request));
	if (request == NULL)
		return NULL;
	*request = *d->recipients[index].request;
	d->recipients[index].request = request;
	return request;
}

void delivery_unnamed(struct delivery *d, size_t index)
{
	struct delivery_recipient *request = own_request(d, index);
	if (request == NULL)
		return;
	request->original = STR_EMPTY;
	request->dsn_orcpt = STR_EMPTY;
}

/* What comes out of its members is not told. */
static bool wish_no_success(struct delivery *d, size_t index)
{
	struct delivery_recipient *request = own_request(d, index);
	if (request == NULL)
		return false;
	request->notify &= ~(unsigned)DSN_NOTIFY_SUCCESS;
	if (request->notify == 0)
		request->notify = DSN_NOTIFY_NEVER;
	return true;
}

void delivery_expanded(struct delivery *d, size_t index, struct str address, bool owned)
{
	if ((d->recipients[index].request->notify & DSN_NOTIFY_SUCCESS) == 0)
		return;
	size_t part = delivery_part(d, index, address);
	struct delivery_recipient *request =
	    part != SIZE_MAX ? own_request(d, part) : NULL;
	if (request == NULL || !wish_no_success(d, index))
		return;
	if (owned)
		request->original = STR_EMPTY;
	d->recipients[part].result = DELIVERY_EXPANDED;
	d->recipients[part].action = owned ? "delivered" : "expanded";
	d->recipients[part].failure = (struct delivery_failure){
	    .status = STR("2.0.0"), .text = STR("alias expanded")};
}

void delivery_drop_part(struct delivery *d, size_t index)
{
	ENSURE(index == d->count - 1 && d->recipients[index].part);
	d->count--;
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

static bool any(const struct delivery *d, enum delivery_result result)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == result)
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
	if (!queue_id_valid(r->id) || r->recipients_count == 0)
		return false;
	d->count = r->recipients_count;
	d->recipients = arena_alloc_array(d->arena, d->count, sizeof(*d->recipients));
	for (size_t i = 0; d->recipients != NULL && i < d->count; i++)
		d->recipients[i] = (struct delivery_rcpt){.request = &r->recipients[i],
		    .sender = r->sender,
		    .delivered_to = r->recipients[i].address};
	d->room = d->count;
	return d->recipients != NULL;
}

/* A place without a name (queue_dir.h) may hold a later message by now, when whoever sent
 * us here died meanwhile. */
static bool is_meant(const struct delivery *d)
{
	const struct timeval *t = &d->envelope.arrival;
	return (int64_t)t->tv_sec * 1000000 + t->tv_usec == d->request.arrival;
}

static bool message_open(struct delivery *d, struct why *why)
{
	struct str queue = d->request.queue;
	int error = queue_file_open_active(
	    &d->file, queue, d->request.id, true, outcome_queue_owner());
	if (error != 0)
		return why_system(why, -error, "open %.*s %.*s", STR_ARG(queue),
		    STR_ARG(d->request.id));
	/* Shared: a restarted qmgr sees that the message is still being delivered. */
	error = file_try_lock(d->file.fd, FILE_LOCK_SHARED);
	if (error != 0) {
		queue_file_close(&d->file);
		return why_system(why, -error, "lock %.*s %.*s", STR_ARG(queue),
		    STR_ARG(d->request.id));
	}
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	bool lies =
	    queue_place_of(queue) == 0 || queue_file_lies(&d->file, d->request.id);
	if (lies)
		error = queue_file_head(&d->file, d->arena, &d->envelope, &reason);
	if (error == 0 && lies && is_meant(d))
		return true;
	queue_file_close(&d->file);
	if (error == 0)
		return why_later(why, "4.3.0", "message is gone");
	return why_later(why, "4.3.0", "queue file is corrupt: %s", buf_cstr(&reason));
}

static bool is_left(const struct delivery_rcpt *r)
{
	return r->left || r->result == DELIVERY_DEFERRED;
}

/* Parts have their recipient's offset. */
bool delivery_is_left(const struct delivery *d, size_t index)
{
	int64_t offset = d->recipients[index].request->offset;
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].request->offset == offset &&
		    is_left(&d->recipients[i]))
			return true;
	return false;
}

static bool is_any_left(const struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (is_left(&d->recipients[i]))
			return true;
	return false;
}

static void reply(struct ipc_exchange *x, const struct delivery *d)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WHY_TEXT_MAX + 256);
	delivery_reply_write(&bytes,
	    &(struct delivery_reply){
		.left = is_any_left(d),
		.bounced = d->passed_bounced || any(d, DELIVERY_BOUNCED),
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
		list_append(&under_way, &d->link);
		deliver(d);
		if (any(d, DELIVERY_PENDING)) {
			(void)why_later(&why, "4.3.0", "delivery agent gave no result");
			delivery_failed_rest(d, STR_EMPTY, &why);
		}
		outcome_finish(d);
		list_remove(&d->link);
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
	struct delivery d = {.started = outcome_wall_microseconds(),
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
