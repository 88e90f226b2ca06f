#include "postqueue/listing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"

#define READ_SIZE     65536
#define REASON_COLUMN 78

/* The widths for short queue ids, and for long ones (enable_long_queue_ids). */
static const struct format {
	const char *title, *line;
	int indent; /* of a recipient */
} formats[] = {
    {"-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------",
	"%-11s %7lld %20.20s %s\n", 41},
    {"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------",
	"%-17s %8lld %19.19s %s\n", 47},
};

void listing_reader_init(struct listing_reader *r, int fd)
{
	*r = (struct listing_reader){.fd = fd};
	buf_init(&r->bytes, READ_SIZE);
	buf_init(&r->name, LISTING_VALUE_MAX);
	buf_init(&r->value, LISTING_VALUE_MAX);
}

void listing_reader_free(struct listing_reader *r)
{
	buf_free(&r->bytes);
	buf_free(&r->name);
	buf_free(&r->value);
}

/* 1: there are bytes; 0 at the end; -errno. */
static int fill(struct listing_reader *r)
{
	if (r->at < r->bytes.len)
		return 1;
	buf_clear(&r->bytes);
	r->at = 0;
	char *room = buf_reserve(&r->bytes, READ_SIZE);
	ssize_t got = file_read_some(r->fd, room, READ_SIZE);
	if (got > 0)
		buf_advance(&r->bytes, (size_t)got);
	return got > 0 ? 1 : (int)got;
}

/* Bytes up to a NUL, which is taken off too. 1, 0 at the end of the stream before any
 * byte. */
static int read_string(struct listing_reader *r, struct buf *out)
{
	buf_clear(out);
	for (;;) {
		int more = fill(r);
		if (more <= 0)
			return more == 0 && out->len > 0 ? -EBADMSG : more;
		const char *start = r->bytes.p + r->at;
		size_t left = r->bytes.len - r->at;
		const char *nul = memchr(start, '\0', left);
		size_t len = nul != NULL ? (size_t)(nul - start) : left;
		buf_add(out, start, len);
		r->at += nul != NULL ? len + 1 : len;
		if (!buf_ok(out))
			return -EBADMSG;
		if (nul != NULL)
			return 1;
	}
}

int listing_next(struct listing_reader *r)
{
	int more = read_string(r, &r->name);
	if (more <= 0)
		return more == 0 ? -ENODATA : more;
	if (r->name.len == 0)
		return 0;
	more = read_string(r, &r->value);
	return more == 0 ? -EBADMSG : more;
}

/* --- one message --- */

struct message {
	struct buf queue, id, sender;
	int64_t time, size, expire;
};

struct printer {
	struct listing_reader *reader;
	struct message message;
	/* A message's own fields are complete; then each recipient; then its end. */
	void (*message_start)(struct printer *p);
	void (*recipient)(struct printer *p, struct str address, struct str reason);
	void (*message_end)(struct printer *p);
	FILE *out;
	const struct format *format;
	struct buf last_reason;
	unsigned recipients;
	int64_t messages, bytes;
};

static void printer_init(struct printer *p)
{
	buf_init(&p->message.queue, LISTING_VALUE_MAX);
	buf_init(&p->message.id, LISTING_VALUE_MAX);
	buf_init(&p->message.sender, LISTING_VALUE_MAX);
	buf_init(&p->last_reason, LISTING_VALUE_MAX);
}

static void printer_free(struct printer *p)
{
	buf_free(&p->message.queue);
	buf_free(&p->message.id);
	buf_free(&p->message.sender);
	buf_free(&p->last_reason);
}

static int expect(struct printer *p, const char *name)
{
	int got = listing_next(p->reader);
	if (got == 1 && !str_is(buf_str(&p->reader->name), name))
		return -EBADMSG;
	return got == 0 || got == -ENODATA ? -EBADMSG : got;
}

static int expect_text(struct printer *p, const char *name, struct buf *out)
{
	int got = expect(p, name);
	buf_clear(out);
	buf_add_str(out, buf_str(&p->reader->value));
	return got;
}

static int expect_number(struct printer *p, const char *name, int64_t *out)
{
	int got = expect(p, name);
	return got == 1 && !str_to_i64(buf_str(&p->reader->value), out) ? -EBADMSG : got;
}

/* After "queue_name" was read. */
static int read_message_fields(struct printer *p)
{
	struct message *m = &p->message;
	int got = expect_text(p, "queue_id", &m->id);
	if (got == 1)
		got = expect_number(p, "time", &m->time);
	if (got == 1)
		got = expect_number(p, "size", &m->size);
	if (got == 1)
		got = expect_number(p, "forced_expire", &m->expire);
	return got == 1 ? expect_text(p, "sender", &m->sender) : got;
}

static int read_recipients(struct printer *p)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(LISTING_VALUE_MAX);
	int got;
	while ((got = listing_next(p->reader)) == 1) {
		if (!str_is(buf_str(&p->reader->name), "recipient"))
			return -EBADMSG;
		buf_clear(&address);
		buf_add_str(&address, buf_str(&p->reader->value));
		got = expect(p, "reason");
		if (got != 1)
			return got;
		p->recipient(p, buf_str(&address), buf_str(&p->reader->value));
		p->recipients++;
	}
	return got == -ENODATA ? -EBADMSG : got;
}

/* 1 when a message was printed, 0 at the empty list that ends all. */
static int print_message(struct printer *p)
{
	int got = listing_next(p->reader);
	if (got != 1)
		return got == -ENODATA ? -EBADMSG : got;
	if (!str_is(buf_str(&p->reader->name), "queue_name"))
		return -EBADMSG;
	buf_clear(&p->message.queue);
	buf_add_str(&p->message.queue, buf_str(&p->reader->value));
	got = read_message_fields(p);
	if (got != 1)
		return got;
	p->recipients = 0;
	p->message_start(p);
	got = read_recipients(p);
	p->message_end(p);
	p->messages++;
	p->bytes += p->message.size;
	return got == 0 ? 1 : got;
}

static int print_all(struct printer *p)
{
	int got = expect(p, "protocol");
	if (got == 1)
		got = listing_next(p->reader) == 0 ? 1 : -EBADMSG;
	while (got == 1)
		got = print_message(p);
	return got;
}

/* --- as people read it --- */

static void text_start(struct printer *p)
{
	const struct message *m = &p->message;
	char when[32] = "";
	struct tm parts;
	time_t seconds = (time_t)m->time;
	CLEANUP(buf_free) struct buf id = BUF_INIT(LISTING_VALUE_MAX + 1);
	if (p->messages == 0)
		fprintf(p->out, "%s\n", p->format->title);
	buf_add_str(&id, buf_str(&m->id));
	if (str_is(buf_str(&m->queue), "active"))
		buf_add_char(&id, '*');
	else if (str_is(buf_str(&m->queue), "hold"))
		buf_add_char(&id, '!');
	if (m->expire != 0)
		buf_add_char(&id, '#');
	if (localtime_r(&seconds, &parts) != NULL)
		(void)strftime(when, sizeof(when), "%a %b %d %H:%M:%S ", &parts);
	fprintf(p->out, p->format->line, buf_cstr(&id), (long long)m->size, when,
	    buf_cstr(&m->sender));
	buf_clear(&p->last_reason);
}

/* Neighbours with the same reason share its line. */
static void text_reason(struct printer *p, struct str reason)
{
	CLEANUP(buf_free) struct buf shown = BUF_INIT(LISTING_VALUE_MAX + 3);
	if (str_equal(reason, buf_str(&p->last_reason)))
		return;
	buf_clear(&p->last_reason);
	buf_add_str(&p->last_reason, reason);
	buf_add_char(&shown, '(');
	buf_add_str(&shown, reason.len > 0 ? reason : STR("reason unavailable"));
	buf_add_char(&shown, ')');
	fprintf(p->out, "%*s\n", REASON_COLUMN, buf_cstr(&shown));
}

static void text_recipient(struct printer *p, struct str address, struct str reason)
{
	text_reason(p, reason);
	fprintf(p->out, "%*s%.*s\n", p->format->indent, "", STR_ARG(address));
}

static void text_end(struct printer *p)
{
	fprintf(p->out, "\n");
}

int listing_print(struct listing_reader *r, FILE *out, bool long_ids)
{
	struct printer p = {.reader = r,
	    .out = out,
	    .format = &formats[long_ids],
	    .message_start = text_start,
	    .recipient = text_recipient,
	    .message_end = text_end};
	printer_init(&p);
	int result = print_all(&p);
	if (result == 0 && p.messages == 0)
		fprintf(out, "Mail queue is empty\n");
	else if (result == 0)
		fprintf(out, "-- %lld Kbytes in %lld Request%s.\n",
		    (long long)(p.bytes / 1024), (long long)p.messages,
		    p.messages == 1 ? "" : "s");
	printer_free(&p);
	return result;
}

/* --- as programs read it --- */

void json_add_string(struct buf *out, struct str s)
{
	bool utf8 = str_is_utf8(s);
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 32 || c == 127)
			buf_printf(out, "\\u%04x", c);
		else if (c >= 128 && !utf8)
			buf_add_cstr(out, "\\ufffd");
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '"');
}

static void json_member(
    const struct printer *p, const char *before, const char *name, struct str value)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(LISTING_VALUE_MAX * 6 + 2);
	json_add_string(&text, value);
	fprintf(p->out, "%s\"%s\": %s", before, name, buf_cstr(&text));
}

static void json_start(struct printer *p)
{
	const struct message *m = &p->message;
	json_member(p, "{", "queue_name", buf_str(&m->queue));
	json_member(p, ", ", "queue_id", buf_str(&m->id));
	fprintf(p->out,
	    ", \"arrival_time\": %lld, \"message_size\": %lld, \"forced_expire\": %s",
	    (long long)m->time, (long long)m->size, m->expire != 0 ? "true" : "false");
	json_member(p, ", ", "sender", buf_str(&m->sender));
	fprintf(p->out, ", \"recipients\": [");
}

static void json_recipient(struct printer *p, struct str address, struct str reason)
{
	json_member(p, p->recipients > 0 ? ", {" : "{", "address", address);
	if (reason.len > 0)
		json_member(p, ", ", "delay_reason", reason);
	fprintf(p->out, "}");
}

static void json_end(struct printer *p)
{
	fprintf(p->out, "]}\n");
}

int listing_print_json(struct listing_reader *r, FILE *out, UNUSED bool long_ids)
{
	struct printer p = {.reader = r,
	    .out = out,
	    .message_start = json_start,
	    .recipient = json_recipient,
	    .message_end = json_end};
	printer_init(&p);
	int result = print_all(&p);
	printer_free(&p);
	return result;
}
