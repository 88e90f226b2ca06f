/* The strict reading of an envelope: every record has its segment, its form, its bound.
 */
#include "queue/queue_file.h"

#include <errno.h>
#include "queue/queue_walk.h"

#define ATTRIBUTES_USUAL 24

/* How far a file is read. */
enum extent {
	TO_RECIPIENTS, /* and the content is found by the size record */
	TO_CONTENT,    /* what comes then may be damaged */
	TO_END,
};

struct reading {
	enum extent extent;
	struct queue_file *file;
	struct arena *arena;
	struct queue_envelope e;
	size_t room; /* of e.attributes */
	struct buf *reason;
	bool has_size, has_time, has_sender, out_of_memory;
};

static int corrupt(struct reading *r, const char *why)
{
	buf_clear(r->reason);
	buf_add_cstr(r->reason, why);
	return -EBADMSG;
}

static struct str keep(struct reading *r, struct str s)
{
	struct str kept = arena_str(r->arena, s);
	if (kept.p == NULL) {
		r->out_of_memory = true;
		return STR_EMPTY;
	}
	return kept;
}

/* `name` is the first part of the record. */
static struct queue_attribute keep_attribute(
    struct reading *r, struct str name, struct str data)
{
	struct str kept = keep(r, data);
	return (struct queue_attribute){
	    str_slice(kept, 0, name.len), str_skip(kept, name.len + 1)};
}

static int take_size(struct reading *r, struct str data)
{
	int64_t n[QUEUE_SIZE_NUMBERS];
	if (!queue_size_parse(data, n) || n[1] <= 0 || n[1] > r->file->status.st_size ||
	    n[0] > r->file->status.st_size - n[1] || n[2] > UINT32_MAX ||
	    n[3] > UINT32_MAX || n[5] > UINT32_MAX)
		return corrupt(r, "bad size record");
	r->e.content_size = n[0];
	r->e.content_offset = n[1];
	r->e.recipient_count = (uint32_t)n[2];
	r->e.flags = (uint32_t)n[3];
	r->e.message_size = n[4] > 0 ? n[4] : n[0];
	r->e.sendopts = (uint32_t)n[5];
	r->file->extracted = n[0] + n[1];
	r->has_size = true;
	return 0;
}

static int take_time(struct reading *r, struct str data)
{
	int64_t seconds = 0;
	int64_t microseconds = 0;
	if (queue_number_next(&data, INT64_MAX / 2000000, &seconds) <= 0 ||
	    queue_number_next(&data, 999999, &microseconds) < 0)
		return corrupt(r, "bad arrival time record");
	r->e.arrival = (struct timeval){.tv_sec = seconds, .tv_usec = microseconds};
	r->has_time = true;
	return 0;
}

static int take_sender(struct reading *r, struct str data)
{
	if (r->has_sender)
		return corrupt(r, "multiple sender records");
	if (data.len > ADDRESS_MAX)
		return corrupt(r, "sender too long");
	r->e.sender = keep(r, data);
	r->has_sender = true;
	return 0;
}

static int take_warn(struct reading *r, struct str data)
{
	if (!str_to_range(str_trim(data), -1, INT64_MAX, &r->e.warn_time))
		return corrupt(r, "bad warning time record");
	r->e.warn_offset = r->file->reader.last_offset;
	return 0;
}

static int take_number(struct reading *r, struct str data, int64_t max, int64_t *value_r)
{
	return str_to_range(data, 0, max, value_r) ? 0
						   : corrupt(r, "bad number in a record");
}

static int take_ret(struct reading *r, struct str data)
{
	int64_t ret = 0;
	int error = take_number(r, data, DSN_RET_FULL | DSN_RET_HDRS, &ret);
	r->e.ret = (uint32_t)ret;
	return error;
}

static int add_attribute(struct reading *r, struct queue_attribute a)
{
	struct queue_envelope *e = &r->e;
	if (e->attribute_count == r->room) {
		size_t room = r->room == 0 ? ATTRIBUTES_USUAL : 2 * r->room;
		struct queue_attribute *more =
		    arena_alloc_array(r->arena, room, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		if (r->room > 0)
			memcpy(more, e->attributes, r->room * sizeof(*more));
		e->attributes = more;
		r->room = room;
	}
	e->attributes[e->attribute_count++] = a;
	return 0;
}

/* Does this type start what belongs to a recipient? Some attributes do so, too. */
static bool is_recipients(int type)
{
	return type == RECORD_RECIPIENT || type == RECORD_DONE ||
	    type == RECORD_ORIGINAL || type == RECORD_CANCELLED ||
	    type == RECORD_DSN_NOTIFY || type == RECORD_DSN_ORCPT;
}

static int take_recipients(struct reading *r)
{
	if (r->e.first_recipient_offset == 0)
		r->e.first_recipient_offset = r->file->reader.last_offset;
	return 0;
}

static int take_attribute(struct reading *r, struct str data)
{
	struct queue_attribute a;
	if (!queue_attribute_parse(data, &a))
		return corrupt(r, "malformed attribute record");
	if (queue_attribute_is_recipients(a.name))
		return take_recipients(r);
	if (str_is(a.name, "create_time"))
		return take_number(r, a.value, INT64_MAX, &r->e.created);
	if (str_is(a.name, "ret_flags"))
		return take_ret(r, a.value);
	if (str_is(a.name, "trace_flags"))
		r->e.trace_offset = r->file->reader.last_offset;
	a = keep_attribute(r, a.name, data);
	if (str_is(a.name, "envelope_id")) {
		r->e.envelope_id = a.value;
		return 0;
	}
	if (str_is(a.name, "message_id"))
		r->e.message_id = a.value;
	if (r->e.attribute_count == QUEUE_ATTRIBUTES_MAX)
		return corrupt(r, "too many attributes");
	return add_attribute(r, a);
}

static int take_text(struct reading *r, struct str data, struct str *text_r)
{
	*text_r = keep(r, data);
	return 0;
}

static int take_record(struct reading *r, int type, struct str data)
{
	if (memchr(data.p, '\0', data.len) != NULL || str_find(data, '\n') >= 0)
		return corrupt(r, "control byte in an envelope record");
	if (is_recipients(type))
		return take_recipients(r);
	switch (type) {
	case RECORD_TIME:
		return take_time(r, data);
	case RECORD_CREATED:
		return take_number(r, data, INT64_MAX, &r->e.created);
	case RECORD_FULL_NAME:
		return take_text(r, data, &r->e.full_name);
	case RECORD_FILTER:
		return take_text(r, data, &r->e.filter);
	case RECORD_REDIRECT:
		return take_text(r, data, &r->e.redirect);
	case RECORD_VERP:
		return take_text(r, data, &r->e.verp);
	case RECORD_DSN_ENVID:
		return take_text(r, data, &r->e.envelope_id);
	case RECORD_DSN_RET:
		return take_ret(r, data);
	case RECORD_SENDER:
		return take_sender(r, data);
	case RECORD_WARN:
		return take_warn(r, data);
	case RECORD_ATTRIBUTE:
		return take_attribute(r, data);
	default:
		return 0;
	}
}

/* What may stand where; the rest of record.h is for other uses. */
static const char envelope_types[] = "TcFILSDRO/WVA>K<ionfdw";
static const char extracted_types[] = "EDRO/PreAFIL>Konw";

static bool allowed(int type, const char *types)
{
	return type > 0 && type < 128 && strchr(types, type) != NULL;
}

static int next_record(struct reading *r, int *type_r, struct str *data_r)
{
	int result = queue_walk_next(r->file, type_r, data_r);
	if (result == 0)
		return corrupt(r, "missing end record");
	if (result == -EBADMSG)
		return corrupt(r, "malformed record");
	return result;
}

/* Past the recipients, however many: to the message record, which is empty. */
static int jump_to_content(struct reading *r)
{
	int type = 0;
	struct str data = STR_EMPTY;
	if (r->e.content_offset <= r->e.first_recipient_offset)
		return corrupt(r, "size record does not fit the content");
	record_reader_seek(&r->file->reader, r->e.content_offset - 2);
	int result = next_record(r, &type, &data);
	if (result < 0)
		return result;
	return type == RECORD_MESSAGE && data.len == 0
	    ? 0
	    : corrupt(r, "size record does not fit the content");
}

static int read_envelope(struct reading *r)
{
	for (;;) {
		int type = 0;
		struct str data = STR_EMPTY;
		int result = next_record(r, &type, &data);
		if (result < 0)
			return result;
		if (type == RECORD_MESSAGE)
			return 0;
		if (type == RECORD_SIZE && r->file->reader.last_offset == 0)
			result = take_size(r, data);
		else if (!allowed(type, envelope_types))
			return corrupt(r, "unexpected record type in the envelope");
		else
			result = take_record(r, type, data);
		if (result < 0)
			return result;
		if (r->extent == TO_RECIPIENTS && r->e.first_recipient_offset != 0 &&
		    r->has_size && r->has_time && r->has_sender)
			return jump_to_content(r);
	}
}

/* Files in maildrop have no size record: their content is walked. */
static int measure_content(struct reading *r, int *type_r)
{
	struct str data = STR_EMPTY;
	struct queue_file *f = r->file;
	r->e.content_offset = f->reader.offset;
	r->e.message_size = f->status.st_size;
	do {
		int result = next_record(r, type_r, &data);
		if (result < 0)
			return result;
	} while (*type_r == RECORD_LINE || *type_r == RECORD_PART ||
	    *type_r == RECORD_PADDING);
	f->extracted = f->reader.last_offset;
	r->e.content_size = f->extracted - r->e.content_offset;
	return 0;
}

/* From behind M to behind X. */
static int pass_content(struct reading *r)
{
	int type = 0;
	struct str data = STR_EMPTY;
	struct queue_file *f = r->file;
	if (r->has_size && f->reader.offset != r->e.content_offset)
		return corrupt(r, "size record does not fit the content");
	if (r->has_size)
		record_reader_seek(&f->reader, f->extracted);
	int result =
	    r->has_size ? next_record(r, &type, &data) : measure_content(r, &type);
	if (result < 0)
		return result;
	return type == RECORD_EXTRACTED
	    ? 0
	    : corrupt(r, "size record does not fit the content");
}

static int read_extracted(struct reading *r)
{
	for (;;) {
		int type = 0;
		struct str data = STR_EMPTY;
		int result = next_record(r, &type, &data);
		if (result < 0)
			return result;
		if (type == RECORD_END)
			return 0;
		if (!allowed(type, extracted_types))
			return corrupt(r, "unexpected record type in the extracted part");
		result = take_record(r, type, data);
		if (result < 0)
			return result;
	}
}

static int check_complete(struct reading *r)
{
	if (r->out_of_memory)
		return -ENOMEM;
	if (!r->has_time)
		return corrupt(r, "missing arrival time record");
	if (!r->has_sender)
		return corrupt(r, "missing sender record");
	return 0;
}

static int read_file(struct queue_file *f, struct arena *a, enum extent extent,
    struct queue_envelope *e_r, struct buf *reason)
{
	struct reading r = {.extent = extent, .file = f, .arena = a, .reason = reason};
	r.e.sender = r.e.full_name = r.e.filter = r.e.redirect = r.e.verp = STR_EMPTY;
	r.e.envelope_id = r.e.message_id = STR_EMPTY;
	queue_walk_start(f, 0);
	int result = read_envelope(&r);
	int rest = result == 0 && extent != TO_RECIPIENTS ? pass_content(&r) : 0;
	if (result == 0 && rest == 0 && extent != TO_RECIPIENTS)
		rest = read_extracted(&r);
	if (result == 0 && extent == TO_END)
		result = rest;
	if (result == 0)
		result = check_complete(&r);
	if (result < 0)
		return result;
	f->recipients = r.e.first_recipient_offset;
	*e_r = r.e;
	return 0;
}

int queue_file_envelope(
    struct queue_file *f, struct arena *a, struct queue_envelope *e_r, struct buf *reason)
{
	return read_file(f, a, TO_END, e_r, reason);
}

int queue_file_glance(
    struct queue_file *f, struct arena *a, struct queue_envelope *e_r, struct buf *reason)
{
	return read_file(f, a, TO_CONTENT, e_r, reason);
}

int queue_file_head(
    struct queue_file *f, struct arena *a, struct queue_envelope *e_r, struct buf *reason)
{
	return read_file(f, a, TO_RECIPIENTS, e_r, reason);
}

const char *queue_attribute(const struct queue_envelope *e, const char *name)
{
	for (size_t i = 0; i < e->attribute_count; i++)
		if (str_is(e->attributes[i].name, name))
			return e->attributes[i].value.p;
	return NULL;
}

bool queue_arrival(struct str bytes, struct timeval *arrival_r)
{
	struct str data;
	int type;
	int64_t s, us;
	for (int i = 0; i < 2; i++)
		if (record_read(&bytes, &type, &data) != 1)
			return false;
	if (type != RECORD_TIME || queue_number_next(&data, INT64_MAX, &s) <= 0 ||
	    queue_number_next(&data, 999999, &us) <= 0)
		return false;
	*arrival_r = (struct timeval){.tv_sec = s, .tv_usec = us};
	return true;
}
