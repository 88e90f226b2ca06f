#include "deliver/message_copy.h"

#include <errno.h>
#include <time.h>
#include "base/clock.h"
#include "base/file.h"
#include "mail/header.h"

#define COPY_BUFFER 65536
#define LINE_EXTRA  256 /* what may be added to a line: a dot and its end */

struct copy {
	int fd;
	int64_t written, limit;
	struct buf pending;
	const struct message_style *style;
	struct str eol;
	bool inside; /* of a line: the part before had no end */
};

void message_from_line(struct buf *out, struct str sender, int64_t wall_seconds)
{
	time_t seconds = (time_t)wall_seconds;
	struct tm tm;
	char date[64] = "";
	if (localtime_r(&seconds, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	buf_add_cstr(out, "From ");
	if (sender.len > 0)
		address_quote(out, sender);
	else
		buf_add_cstr(out, "MAILER-DAEMON");
	buf_printf(out, "  %s\n", date);
}

static int copy_flush(struct copy *c)
{
	c->written += (int64_t)c->pending.len;
	if (c->limit > 0 && c->written > c->limit)
		return -EFBIG;
	int error = file_write_all(c->fd, c->pending.p, c->pending.len);
	buf_clear(&c->pending);
	return error;
}

static int copy_line(struct copy *c, struct str line, bool whole)
{
	if (c->pending.len + line.len + LINE_EXTRA > COPY_BUFFER) {
		int error = copy_flush(c);
		if (error != 0)
			return error;
	}
	unsigned flags = c->style->flags;
	if ((flags & COPY_QUOTE_FROM) && !c->inside && str_starts(line, STR("From ")))
		buf_add_char(&c->pending, '>');
	if ((flags & COPY_STUFF_DOTS) && !c->inside && line.len > 0 && line.p[0] == '.')
		buf_add_char(&c->pending, '.');
	buf_add_str(&c->pending, line);
	if (whole)
		buf_add_str(&c->pending, c->eol);
	c->inside = !whole;
	return 0;
}

/* The message ends with a whole line, and an empty one parts it from the next. */
static void end_with_blank(struct copy *c)
{
	if (c->inside)
		buf_add_str(&c->pending, c->eol);
	buf_add_str(&c->pending, c->eol);
}

static void add_field(struct buf *out, const char *before, struct str internal)
{
	buf_add_cstr(out, before);
	address_quote(out, internal);
}

static void add_return_path(
    struct buf *out, struct str sender, const struct message_style *style)
{
	buf_add_cstr(out, "Return-Path: <");
	if (sender.len == 0 && style->null_sender != NULL)
		buf_add_cstr(out, style->null_sender);
	else
		address_quote(out, sender);
	buf_add_cstr(out, ">");
}

static void add_from_line(
    struct buf *out, struct str sender, const struct message_style *style)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(ADDRESS_MAX * 2 + 100);
	if (sender.len == 0 && style->null_sender != NULL)
		sender = str_of(style->null_sender);
	message_from_line(&line, sender, clock_wall_seconds());
	buf_add_str(out, str_slice(buf_str(&line), 0, line.len - 1));
}

void message_fields(
    struct buf *out, const struct delivery_rcpt *rcpt, const struct message_style *style)
{
	struct str original = rcpt->request->original;
	unsigned flags = style->flags;
	const char *eol = style->eol != NULL ? style->eol : "\n";
	if (flags & COPY_FROM_LINE) {
		add_from_line(out, rcpt->sender, style);
		buf_add_cstr(out, eol);
	}
	if (flags & COPY_RETURN_PATH) {
		add_return_path(out, rcpt->sender, style);
		buf_add_cstr(out, eol);
	}
	/* Of a list that has an owner it is not told. */
	if ((flags & COPY_ORIGINAL_TO) && original.len > 0) {
		add_field(out, "X-Original-To: ", original);
		buf_add_cstr(out, eol);
	}
	if (flags & COPY_DELIVERED_TO) {
		add_field(out, "Delivered-To: ", rcpt->delivered_to);
		buf_add_cstr(out, eol);
	}
}

int64_t message_copy(struct delivery *d, size_t recipient,
    const struct message_style *style, int fd, int64_t limit)
{
	struct copy c = {.fd = fd,
	    .limit = limit,
	    .pending = BUF_INIT(COPY_BUFFER + RECORD_DATA_MAX),
	    .style = style,
	    .eol = str_of(style->eol != NULL ? style->eol : "\n")};
	/* Small ones do not grow by steps. */
	(void)buf_reserve(&c.pending,
	    (size_t)d->file.status.st_size < COPY_BUFFER ? (size_t)d->file.status.st_size
							 : COPY_BUFFER);
	message_fields(&c.pending, &d->recipients[recipient], style);
	queue_file_content_start(&d->file, &d->envelope);
	struct str line;
	bool whole;
	int more, error = 0;
	while (
	    error == 0 && (more = queue_file_content_next(&d->file, &line, &whole)) == 1)
		error = copy_line(&c, line, whole);
	if (error == 0)
		error = more;
	if (error == 0 && (style->flags & COPY_BLANK_END))
		end_with_blank(&c);
	if (error == 0)
		error = copy_flush(&c);
	buf_free(&c.pending);
	return error != 0 ? error : c.written;
}

int message_delivered_to(
    struct delivery *d, struct str address, struct delivered_to *fields_r)
{
	CLEANUP(buf_free) struct buf named = BUF_INIT(ADDRESS_MAX);
	struct str line;
	struct delivered_to fields = {false, false};
	bool whole;
	int more;
	queue_file_content_start(&d->file, &d->envelope);
	while ((more = queue_file_content_next(&d->file, &line, &whole)) == 1 &&
	    line.len > 0) {
		size_t name = header_name_length(line);
		if (name == 0 ||
		    header_find(str_slice(line, 0, name))->id != HEADER_DELIVERED_TO)
			continue;
		buf_clear(&named);
		address_unquote(&named, header_body(line));
		fields.any = true;
		fields.found = fields.found || str_equal_nocase(buf_str(&named), address);
	}
	if (more < 0)
		return more;
	*fields_r = fields;
	return 0;
}
