/* The life of one message in cleanup. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "cleanup/mapping.h"
#include "client/service_client.h"

#define BACKLOG_LIMIT 1000 /* qmgr is behind: new mail is taken more slowly */

void message_fail(struct message *m, enum cleanup_status status, const char *reason)
{
	if (m->status != CLEANUP_OK)
		return;
	m->status = status;
	m->reason =
	    arena_cstr(m->arena, str_slice(str_of(reason), 0, CLEANUP_REASON_MAX));
}

/* What pickup brought cannot be refused to anybody any more: it is kept, and the error
 * service returns it to its sender. */
void message_refuse(struct message *m, enum cleanup_status status, const char *reason)
{
	m->unchecked = true;
	if ((m->envelope.flags & CLEANUP_BOUNCE) == 0) {
		/* For others the row of the status has the words for clients. */
		message_fail(m, status, status == CLEANUP_CONTENT ? reason : "");
		return;
	}
	const char *filter = arena_printf(m->arena, "error:%s", reason);
	if (filter == NULL)
		message_fail(m, CLEANUP_TABLE, "");
	else if (m->returned.len == 0)
		m->returned = str_of(filter);
}

static void fail_write(struct message *m, const struct why *why)
{
	bool full = strcmp(why->status, "4.3.1") == 0;
	log_warning("%s: %s", m->id, buf_cstr(&why->text));
	message_fail(m, full ? CLEANUP_NO_SPACE : CLEANUP_WRITE_ERROR, "");
}

static void relieve_slot(struct message *m)
{
	struct why why;
	why_init(&why);
	if (!buf_ok(m->out))
		message_fail(m, CLEANUP_WRITE_ERROR, "");
	if (m->status == CLEANUP_OK && !commit_relieve(m->slot, &why))
		fail_write(m, &why);
	why_free(&why);
}

void message_write_out(struct message *m)
{
	if (m->out->len > COMMIT_MEMORY)
		relieve_slot(m);
}

int64_t message_position(const struct message *m)
{
	return commit_written(m->slot) + (int64_t)m->out->len;
}

void message_detect_utf8(struct message *m, struct str text)
{
	if ((m->envelope.flags & CLEANUP_DETECT_UTF8) && !str_is_ascii(text))
		m->size.sendopts |= CLEANUP_SENDOPT_SMTPUTF8;
}

/* These stand before the sender, all other attributes behind: what a service says of its
 * own mail before it says from whom it is. */
static bool stands_first(const struct message *m, const struct cleanup_attribute *a)
{
	bool submitted = (m->envelope.flags & CLEANUP_BOUNCE) != 0;
	return str_is(a->name, "log_ident") || str_is(a->name, "rewrite_context") ||
	    (str_is(a->name, "trace_flags") && !submitted) ||
	    str_is(a->name, "sasl_method") || str_is(a->name, "sasl_username") ||
	    (str_is(a->name, "log_message_origin") && str_is(a->value, "local"));
}

static void write_attributes(struct message *m, bool first)
{
	for (uint32_t i = 0; i < m->envelope.attributes_count; i++) {
		struct cleanup_attribute *a = &m->envelope.attributes[i];
		if (a->name.p == NULL || (first && !stands_first(m, a)))
			continue;
		record_named(m->out, a->name, a->value);
		a->name.p = NULL; /* each once */
	}
}

static struct str sender_address(struct message *m)
{
	struct str sender = m->envelope.sender;
	if (sender.len == 0)
		return STR_EMPTY;
	sender = address_complete(m, sender, REWRITE_LOCAL);
	return mapping_apply(m, sender, USE_ENVELOPE_SENDER);
}

static void write_envelope(struct message *m)
{
	const struct cleanup_submit *e = &m->envelope;
	struct timeval arrival = {.tv_sec = e->arrival_seconds,
	    .tv_usec = (suseconds_t)e->arrival_microseconds};
	char now[STR_U64_MAX];
	char *now_end = str_put_u64(now, (uint64_t)clock_wall_seconds(), 0);
	buf_add_fill(m->out, ' ', QUEUE_SIZE_RECORD);
	queue_time_record(m->out, arrival);
	record_attribute(
	    m->out, "create_time", (struct str){now, (size_t)(now_end - now)});
	if (e->filter.len > 0)
		record_write(m->out, RECORD_FILTER, e->filter);
	write_attributes(m, true);
	if (e->envelope_id.len > 0)
		record_attribute(m->out, "envelope_id", e->envelope_id);
	if (e->ret != DSN_RET_DEFAULT)
		record_attribute(
		    m->out, "ret_flags", e->ret == DSN_RET_FULL ? STR("1") : STR("2"));
	if (e->full_name.len > 0 ||
	    (e->flags & CLEANUP_BOUNCE)) /* a user may have none */
		record_write(m->out, RECORD_FULL_NAME, e->full_name);
	m->sender = sender_address(m);
	record_write(m->out, RECORD_SENDER, m->sender);
	write_attributes(m, false);
	if (e->verp.len > 0)
		record_write(m->out, RECORD_VERP, e->verp);
	if (cleanup.params.delay_warning_time > 0) /* when its sender hears of a delay */
		record_printf(m->out, RECORD_WARN, "%15lld",
		    (long long)arrival.tv_sec + cleanup.params.delay_warning_time);
	m->size.sendopts = e->sendopts;
	message_detect_utf8(m, e->sender);
	bcc_of_sender(m);
}

static void start_content(struct message *m)
{
	record_write(m->out, RECORD_MESSAGE, STR_EMPTY);
	m->size.content_offset = message_position(m);
	content_start(m);
	if (m->envelope.received.len > 0)
		content_add_received(m, m->envelope.received);
}

static struct str first_of(struct str a, struct str b)
{
	return a.len > 0 ? a : b;
}

/* What checks say of the content counts before what the client's service said, and what
 * that said last before what it said first: readers take the last. */
static void write_extracted(struct message *m)
{
	m->size.content_size = message_position(m) - m->size.content_offset;
	m->size.message_size = m->size.content_size;
	record_write(m->out, RECORD_EXTRACTED, STR_EMPTY);
	if (m->returned.len > 0) {
		record_write(m->out, RECORD_FILTER, m->returned);
	} else {
		struct str filter = first_of(m->filter, m->late_filter);
		if (filter.len > 0)
			record_write(m->out, RECORD_FILTER, filter);
		struct str redirect = first_of(
		    m->redirect, first_of(m->late_redirect, m->envelope.redirect));
		if (redirect.len > 0)
			record_write(m->out, RECORD_REDIRECT, redirect);
	}
	if (m->message_id.len > 0)
		record_attribute(m->out, "message_id", m->message_id);
	if (m->announces_8bit)
		record_attribute(m->out, "encoding", STR("8bit"));
	recipients_add(m, m->late_copies, m->late_copies_count);
	bcc_write(m);
	record_write(m->out, RECORD_END, STR_EMPTY);
}

/* Without log each message is synced by itself: slower, and as safe. */
static void warn_of_slow_commit(void)
{
	int trouble = commit_trouble(cleanup.commit);
	if (trouble != 0)
		log_warning("no commit log: %s: each message is synced by itself",
		    strerror(-trouble));
}

static void commit_message(struct message *m)
{
	char size[QUEUE_SIZE_RECORD];
	struct why why;
	why_init(&why);
	queue_size_record(size, &m->size);
	struct commit_slot *slot = m->slot;
	if (!commit_patch(slot, 0, (struct str){size, sizeof(size)}, &why)) {
		fail_write(m, &why);
	} else {
		bool hold = (m->envelope.flags & CLEANUP_HOLD) != 0;
		m->slot = NULL; /* consumed either way */
		struct timeval arrival = {.tv_sec = m->envelope.arrival_seconds,
		    .tv_usec = (suseconds_t)m->envelope.arrival_microseconds};
		struct commit_message message;
		if (!commit_finish(slot, arrival, hold, &message, &why))
			fail_write(m, &why);
		else if (!hold)
			announce(&message);
		warn_of_slow_commit();
	}
	why_free(&why);
}

static void finish(struct message *m)
{
	content_end(m);
	m->envelope.flags |= m->late_flags;
	if (m->mime_refusal != NULL)
		message_refuse(m, CLEANUP_CONTENT, m->mime_refusal);
	if (m->status == CLEANUP_OK && m->size.recipients == 0 &&
	    !(m->envelope.flags & CLEANUP_PROBE))
		message_fail(m, CLEANUP_NO_RECIPIENTS, "");
	write_extracted(m);
	relieve_slot(m);
	bool discarded = (m->envelope.flags & CLEANUP_DISCARD) != 0;
	if (m->status == CLEANUP_OK && !discarded)
		expanded_tell(m);
	if (m->status == CLEANUP_OK && !discarded)
		commit_message(m);
	if (m->status != CLEANUP_OK)
		expanded_forget(m);
	if (m->slot == NULL)
		return;
	commit_cancel(m->slot);
	m->slot = NULL;
	log_info("%s: removed (%s)", m->id, discarded ? "discarded" : "canceled");
}

static void answer(struct ipc_exchange *x, const struct message *m)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	cleanup_done_write(&bytes,
	    &(struct cleanup_done){.status = m->status,
		.id = str_of(m->id),
		.reason = str_of(m->reason),
		.size = m->size.message_size});
	if (ipc_reply(x, cleanup_done_type, buf_str(&bytes)) != 0)
		log_info("%s: client did not wait for the answer", m->id);
}

/* `late` lives no longer than its frame. */
static void take_late(struct message *m, const struct cleanup_late *late)
{
	m->late_flags = late->flags & (CLEANUP_HOLD | CLEANUP_DISCARD);
	m->late_filter = arena_str(m->arena, late->filter);
	m->late_redirect = arena_str(m->arena, late->redirect);
	bool kept = m->late_filter.p != NULL && m->late_redirect.p != NULL;
	m->late_copies =
	    arena_alloc_array(m->arena, late->copies_count, sizeof(*m->late_copies));
	m->late_copies_count = m->late_copies != NULL ? late->copies_count : 0;
	for (uint32_t i = 0; i < m->late_copies_count; i++) {
		struct str address = arena_str(m->arena, late->copies[i].address);
		kept = kept && address.p != NULL;
		m->late_copies[i] = (struct cleanup_recipient){
		    .address = address, .notify = late->copies[i].notify};
	}
	if (!kept || m->late_copies_count < late->copies_count)
		message_fail(m, CLEANUP_TABLE, "");
}

/* What follows the first frame of a streamed message. False: the client went away. */
static bool receive_rest(struct ipc_exchange *x, struct message *m)
{
	uint16_t type;
	struct str payload;
	int error;
	while ((error = ipc_receive(x, &type, &payload,
		    service_client_deadline(service_common()))) == 0) {
		struct arena *a = arena_new(WIRE_PAYLOAD_MAX * 8);
		struct cleanup_recipients more;
		struct cleanup_content text;
		struct cleanup_late late;
		bool started = m->size.content_offset != 0;
		if (type == cleanup_recipients_type && !started &&
		    cleanup_recipients_read(payload, a, &more)) {
			recipients_add(m, more.recipients, more.recipients_count);
		} else if (type == cleanup_content_type &&
		    cleanup_content_read(payload, a, &text)) {
			if (!started)
				start_content(m);
			content_add(m, text.bytes);
		} else if (type == cleanup_late_type &&
		    cleanup_late_read(payload, a, &late)) {
			take_late(m, &late);
		} else {
			message_fail(m, CLEANUP_BAD, "");
		}
		arena_free(a);
	}
	return error == -ENODATA;
}

static void slow_down(void)
{
	if (cleanup.params.in_flow_delay > 0 &&
	    qmgr_client_backlog(cleanup.qmgr) > BACKLOG_LIMIT)
		fiber_sleep_ms(cleanup.params.in_flow_delay * 1000);
}

static enum header_rewriting header_rewriting(const struct message *m)
{
	if ((m->envelope.flags & CLEANUP_COMPLETE) != 0)
		return HEADER_REWRITE_LOCAL;
	return cleanup.params.remote_header_rewrite_domain[0] != '\0'
	    ? HEADER_REWRITE_REMOTE
	    : HEADER_AS_IT_IS;
}

/* What the records of a message need: most grow into their buffer without a copy. */
static size_t usual_size(size_t content)
{
	return 1024 + content + content / 16;
}

/* A frame with content is the only one of its exchange, so it stays until the end. */
static bool read_envelope(struct message *m, struct str frame)
{
	if (!cleanup_submit_read(frame, m->arena, &m->envelope))
		return false;
	if (m->envelope.content.len > 0)
		return true;
	struct str kept = arena_str(m->arena, frame);
	return kept.p != NULL && cleanup_submit_read(kept, m->arena, &m->envelope);
}

static bool message_init(struct message *m, struct ipc_exchange *x, struct str payload)
{
	if (!read_envelope(m, payload)) {
		log_warning("malformed submission");
		return false;
	}
	if (cleanup.params.in_flow_delay > 0)
		commit_await_room(cleanup.commit);
	m->slot = slot_take(x, m->envelope.id);
	if (m->slot == NULL) {
		message_fail(m, CLEANUP_WRITE_ERROR, "");
		return true;
	}
	m->out = commit_bytes(m->slot);
	(void)buf_reserve(m->out, usual_size(m->envelope.content.len));
	memcpy(m->id, commit_id(m->slot), strlen(commit_id(m->slot)) + 1);
	m->rewriting = header_rewriting(m);
	return true;
}

static void message_release(struct message *m)
{
	commit_cancel(m->slot);
	content_release(m);
	map_free(m->recipients);
}

static void take_message(struct ipc_exchange *x, struct message *m)
{
	write_envelope(m);
	recipients_add(m, m->envelope.recipients, m->envelope.recipients_count);
	bool whole = m->envelope.content.len > 0;
	if (whole) {
		start_content(m);
		content_add(m, m->envelope.content);
	}
	if (!whole && !receive_rest(x, m)) {
		log_info("%s: removed (canceled)", m->id);
		return;
	}
	if (m->size.content_offset == 0)
		start_content(m);
	slow_down();
	finish(m);
	answer(x, m);
}

void message_serve(struct ipc_exchange *x, struct str payload)
{
	struct arena *arena = arena_new(MESSAGE_ARENA);
	struct message *m = arena_alloc(arena, sizeof(*m));
	ENSURE(m != NULL);
	m->arena = arena;
	if (message_init(m, x, payload)) {
		if (m->slot != NULL)
			take_message(x, m);
		else
			answer(x, m);
	}
	message_release(m);
	arena_free(arena);
}
