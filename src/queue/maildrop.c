#include "queue/maildrop.h"

#include <errno.h>
#include "queue/queue_walk.h"

#define FULL_NAME_MAX 1024
#define ENVID_MAX     1024
#define PORTION       200 /* recipients of a requeued file read at a time */

void maildrop_check_init(struct maildrop_check *c, bool is_file)
{
	*c = (struct maildrop_check){.needs_time = is_file};
}

/* --- attributes --- */

static bool is_number(struct str value, int64_t max)
{
	int64_t number = 0;
	return str_to_range(value, 0, max, &number);
}

static bool is_context(struct str value)
{
	return str_is(value, "local") || str_is(value, "remote");
}

static bool is_encoding(struct str value)
{
	return str_is(value, "7bit") || str_is(value, "8bit");
}

static bool is_trace(struct str value)
{
	return str_is(value, "512") || str_is(value, "1024");
}

static bool is_ret(struct str value)
{
	return is_number(value, DSN_RET_FULL | DSN_RET_HDRS);
}

static bool is_notify(struct str value)
{
	return is_number(value, 15);
}

static bool is_time(struct str value)
{
	return is_number(value, INT64_MAX);
}

static bool is_envid(struct str value)
{
	return value.len <= ENVID_MAX;
}

static bool is_orcpt(struct str value)
{
	return value.len <= QUEUE_ORCPT_MAX;
}

/* What a user may say about a message. */
static const struct {
	const char *name;
	bool (*valid)(struct str value);
} attributes[] = {
    {"rewrite_context", is_context},
    {"encoding", is_encoding},
    {"trace_flags", is_trace},
    {"envelope_id", is_envid},
    {"ret_flags", is_ret},
    {"notify_flags", is_notify},
    {"dsn_orig_rcpt", is_orcpt},
    {"create_time", is_time},
};

static enum maildrop_verdict check_attribute(
    struct maildrop_check *c, struct str data, struct buf *reason)
{
	struct queue_attribute a;
	if (!queue_attribute_parse(data, &a)) {
		buf_printf(reason,
		    "ignoring malformed record: missing '=' after attribute name: %.*s",
		    STR_ARG(str_slice(data, 0, 100)));
		return MAILDROP_SKIP;
	}
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (!str_is(a.name, attributes[i].name) || !attributes[i].valid(a.value))
			continue;
		if (queue_attribute_is_recipients(a.name) ||
		    c->attributes++ < QUEUE_ATTRIBUTES_MAX)
			return MAILDROP_TAKE;
		buf_add_cstr(reason, "too many attributes");
		return MAILDROP_BAD;
	}
	buf_printf(
	    reason, "ignoring attribute record: %.*s", STR_ARG(str_slice(data, 0, 100)));
	return MAILDROP_SKIP;
}

/* --- records --- */

static enum maildrop_verdict bad(struct buf *reason, const char *text)
{
	buf_add_cstr(reason, text);
	return MAILDROP_BAD;
}

static enum maildrop_verdict check_field(
    struct maildrop_check *c, int type, struct str data, struct buf *reason)
{
	if (str_has_control(data))
		return bad(reason, "control byte in an envelope record");
	switch (type) {
	case RECORD_SENDER:
		if (c->has_sender)
			return bad(reason, "multiple sender records");
		c->has_sender = true;
		return data.len <= ADDRESS_MAX ? MAILDROP_TAKE
					       : bad(reason, "sender too long");
	case RECORD_RECIPIENT:
		if (!c->has_sender)
			return bad(reason, "recipient before the sender");
		c->recipients++;
		return data.len <= ADDRESS_MAX ? MAILDROP_TAKE
					       : bad(reason, "recipient too long");
	case RECORD_FULL_NAME:
		return data.len <= FULL_NAME_MAX ? MAILDROP_TAKE
						 : bad(reason, "full name too long");
	case RECORD_VERP:
		return data.len == 2 ? MAILDROP_TAKE : bad(reason, "bad VERP delimiters");
	case RECORD_DSN_ENVID:
		return is_envid(data) ? MAILDROP_TAKE
				      : bad(reason, "envelope id too long");
	case RECORD_DSN_NOTIFY:
		return is_notify(data) ? MAILDROP_TAKE : bad(reason, "bad notify flags");
	default: /* A */
		return check_attribute(c, data, reason);
	}
}

static enum maildrop_verdict check_time(struct str data, struct buf *reason)
{
	struct str seconds = STR_EMPTY;
	struct str micro = STR("0");
	bool any = str_next(&data, " ", &seconds);
	(void)str_next(&data, " ", &micro);
	if (!any || data.len > 0 || !is_number(seconds, INT64_MAX / 2000000) ||
	    !is_number(micro, 999999))
		return bad(reason, "bad arrival time record");
	return MAILDROP_TAKE;
}

static enum maildrop_verdict check_end(
    struct maildrop_check *c, struct str data, struct buf *reason)
{
	if (data.len > 0)
		return bad(reason, "bad end record");
	c->segment = MAILDROP_COMPLETE;
	if (c->has_sender && c->recipients > 0)
		return MAILDROP_END;
	buf_add_cstr(reason, c->has_sender ? "no recipient" : "no sender");
	return MAILDROP_INCOMPLETE;
}

static enum maildrop_verdict next_segment(
    struct maildrop_check *c, struct str data, struct buf *reason)
{
	if (data.len > 0)
		return bad(reason, "data in a segment marker");
	c->segment++;
	return MAILDROP_TAKE;
}

static bool stands_in(int type, const char *types)
{
	return type > 0 && type < 128 && strchr(types, type) != NULL;
}

static enum maildrop_verdict unexpected(int type, struct buf *reason)
{
	buf_printf(reason, "unexpected record type: %d", type);
	return MAILDROP_UNEXPECTED;
}

enum maildrop_verdict maildrop_check(
    struct maildrop_check *c, int type, struct str data, struct buf *reason)
{
	buf_clear(reason);
	if (c->needs_time) {
		c->needs_time = false;
		return type == RECORD_TIME ? check_time(data, reason)
					   : bad(reason, "missing arrival time record");
	}
	switch (c->segment) {
	case MAILDROP_ENVELOPE:
		if (type == RECORD_MESSAGE)
			return next_segment(c, data, reason);
		return stands_in(type, "ASFVinR") ? check_field(c, type, data, reason)
						  : unexpected(type, reason);
	case MAILDROP_CONTENT:
		if (type == RECORD_EXTRACTED)
			return next_segment(c, data, reason);
		return stands_in(type, "NL") ? MAILDROP_TAKE : unexpected(type, reason);
	case MAILDROP_EXTRACTED:
		if (type == RECORD_END)
			return check_end(c, data, reason);
		return stands_in(type, "AR") ? check_field(c, type, data, reason)
					     : unexpected(type, reason);
	case MAILDROP_COMPLETE:
	default:
		return unexpected(type, reason);
	}
}

/* --- whole files --- */

struct reading {
	struct queue_file *file;
	struct arena *arena;
	struct maildrop m;
	struct queue_recipient pending; /* what the records before R said about it */
	size_t room;                    /* of m.recipients */
	bool out_of_memory;
};

static struct str keep(struct reading *r, struct str s)
{
	struct str kept = arena_str(r->arena, s);
	if (kept.p == NULL) {
		r->out_of_memory = true;
		return STR_EMPTY;
	}
	return kept;
}

/* Room for `count` more; the smaller list stays behind in the arena. */
static bool make_room(struct reading *r, size_t count)
{
	if (r->room - r->m.recipient_count >= count)
		return true;
	size_t room = r->room * 2 + count;
	struct queue_recipient *list =
	    arena_alloc_array(r->arena, room, sizeof(struct queue_recipient));
	if (list == NULL)
		return false;
	if (r->m.recipient_count > 0)
		memcpy(list, r->m.recipients, r->m.recipient_count * sizeof(*list));
	r->m.recipients = list;
	r->room = room;
	return true;
}

static void forget_pending(struct reading *r)
{
	r->pending =
	    (struct queue_recipient){.original = STR_EMPTY, .dsn_orcpt = STR_EMPTY};
}

static void take_recipient(struct reading *r, struct str address)
{
	if (!make_room(r, 1)) {
		r->out_of_memory = true;
		return;
	}
	r->pending.address = keep(r, address);
	r->pending.offset = r->file->reader.last_offset;
	r->m.recipients[r->m.recipient_count++] = r->pending;
	forget_pending(r);
}

static int64_t number_of(struct str text)
{
	int64_t number = 0;
	(void)!str_to_i64(text, &number);
	return number;
}

static void take_attribute(struct reading *r, struct str data)
{
	struct queue_envelope *e = &r->m.envelope;
	struct queue_attribute a = {STR_EMPTY, STR_EMPTY};
	(void)!queue_attribute_parse(data, &a);
	if (str_is(a.name, "notify_flags"))
		r->pending.notify = (uint32_t)number_of(a.value);
	else if (str_is(a.name, "dsn_orig_rcpt"))
		r->pending.dsn_orcpt = keep(r, a.value);
	else if (str_is(a.name, "envelope_id"))
		e->envelope_id = keep(r, a.value);
	else if (str_is(a.name, "ret_flags"))
		e->ret = (uint32_t)number_of(a.value);
	else if (str_is(a.name, "create_time"))
		e->created = number_of(a.value);
	else if (e->attribute_count < QUEUE_ATTRIBUTES_MAX)
		e->attributes[e->attribute_count++] =
		    (struct queue_attribute){keep(r, a.name), keep(r, a.value)};
}

static void take_time(struct reading *r, struct str data)
{
	struct str word = STR_EMPTY;
	(void)str_next(&data, " ", &word);
	r->m.envelope.arrival.tv_sec = number_of(word);
	if (str_next(&data, " ", &word))
		r->m.envelope.arrival.tv_usec = number_of(word);
}

/* A record that maildrop_check accepted. */
static void take_record(struct reading *r, int type, struct str data)
{
	struct queue_envelope *e = &r->m.envelope;
	switch (type) {
	case RECORD_TIME:
		take_time(r, data);
		break;
	case RECORD_SENDER:
		e->sender = keep(r, data);
		break;
	case RECORD_FULL_NAME:
		e->full_name = keep(r, data);
		break;
	case RECORD_VERP:
		e->verp = keep(r, data);
		break;
	case RECORD_DSN_ENVID:
		e->envelope_id = keep(r, data);
		break;
	case RECORD_DSN_NOTIFY:
		r->pending.notify = (uint32_t)number_of(data);
		break;
	case RECORD_RECIPIENT:
		take_recipient(r, data);
		break;
	case RECORD_ATTRIBUTE:
		take_attribute(r, data);
		break;
	case RECORD_MESSAGE:
		e->content_offset = r->file->reader.offset;
		break;
	case RECORD_EXTRACTED:
		e->content_size = r->file->reader.last_offset - e->content_offset;
		break;
	default: /* text */
		break;
	}
}

static int corrupt(struct buf *reason, const char *text)
{
	buf_clear(reason);
	buf_add_cstr(reason, text);
	return -EBADMSG;
}

static int read_dropped(struct reading *r, struct buf *reason)
{
	struct maildrop_check check;
	maildrop_check_init(&check, true);
	record_reader_seek(&r->file->reader, 0);
	for (;;) {
		int type = 0;
		struct str data = STR_EMPTY;
		int result = record_reader_next(&r->file->reader, &type, &data);
		/* The size at open bounds a file that somebody goes on writing to. */
		if (result == 0 || r->file->reader.offset > r->file->status.st_size)
			return corrupt(reason, "missing end record");
		if (result < 0)
			return result == -EBADMSG ? corrupt(reason, "malformed record")
						  : result;
		enum maildrop_verdict verdict =
		    maildrop_check(&check, type, data, reason);
		if (verdict == MAILDROP_END)
			return 0;
		if (verdict == MAILDROP_TAKE)
			take_record(r, type, data);
		else if (verdict != MAILDROP_SKIP)
			return -EBADMSG;
		if (r->out_of_memory)
			return -ENOMEM;
	}
}

static int read_requeued(struct reading *r, struct buf *reason)
{
	int64_t offset = 0;
	r->m.requeued = true;
	int error = queue_file_envelope(r->file, r->arena, &r->m.envelope, reason);
	while (error == 0 && offset >= 0) {
		if (!make_room(r, PORTION))
			return -ENOMEM;
		ssize_t count = queue_file_recipients(r->file, r->arena, &offset,
		    r->m.recipients + r->m.recipient_count, PORTION);
		if (count == -EBADMSG)
			return corrupt(reason, "malformed recipient");
		if (count < 0)
			return (int)count;
		r->m.recipient_count += (size_t)count;
	}
	return error;
}

static int starts_with_size(struct queue_file *f)
{
	int type = 0;
	struct str data = STR_EMPTY;
	record_reader_seek(&f->reader, 0);
	int result = record_reader_next(&f->reader, &type, &data);
	if (result == -EBADMSG)
		return 0;
	return result <= 0 ? result : type == RECORD_SIZE;
}

int maildrop_read(struct queue_file *f, bool requeued, struct arena *a,
    struct maildrop *m_r, struct buf *reason)
{
	struct reading r = {.file = f, .arena = a};
	struct queue_envelope *e = &r.m.envelope;
	e->sender = e->full_name = e->filter = e->redirect = e->verp = STR_EMPTY;
	e->envelope_id = e->message_id = STR_EMPTY;
	e->message_size = f->status.st_size;
	e->attributes =
	    arena_alloc_array(a, QUEUE_ATTRIBUTES_MAX, sizeof(struct queue_attribute));
	if (e->attributes == NULL)
		return -ENOMEM;
	forget_pending(&r);
	int result = requeued ? starts_with_size(f) : 0;
	if (result == 0)
		result = read_dropped(&r, reason);
	else if (result > 0)
		result = read_requeued(&r, reason);
	if (result == 0)
		*m_r = r.m;
	return result;
}
