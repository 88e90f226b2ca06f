#include "deliver/message_copy.h"

#include <errno.h>
#include <time.h>
#include "base/clock.h"
#include "base/file.h"
#include "mail/header.h"

#define COPY_BUFFER 65536

struct copy {
	int fd;
	int64_t written, limit;
	struct buf pending;
	unsigned flags;
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
	if (c->pending.len + line.len + 2 > COPY_BUFFER) {
		int error = copy_flush(c);
		if (error != 0)
			return error;
	}
	if ((c->flags & COPY_MBOX) && !c->inside && str_starts(line, STR("From ")))
		buf_add_char(&c->pending, '>');
	buf_add_str(&c->pending, line);
	if (whole)
		buf_add_char(&c->pending, '\n');
	c->inside = !whole;
	return 0;
}

/* The message ends with a whole line, and an empty one parts it from the next. */
static void end_mbox(struct copy *c)
{
	buf_add_cstr(&c->pending, c->inside ? "\n\n" : "\n");
}

static void add_address_field(
    struct copy *c, const char *name, struct str internal, bool brackets)
{
	buf_printf(&c->pending, brackets ? "%s: <" : "%s: ", name);
	address_quote(&c->pending, internal);
	buf_add_cstr(&c->pending, brackets ? ">\n" : "\n");
}

static void add_agent_fields(
    struct copy *c, const struct delivery *d, size_t recipient, unsigned flags)
{
	const struct delivery_recipient *r = d->recipients[recipient].request;
	if (flags & COPY_MBOX)
		message_from_line(&c->pending, d->request.sender, clock_wall_seconds());
	if (flags & COPY_RETURN_PATH)
		add_address_field(c, "Return-Path", d->request.sender, true);
	if (flags & COPY_ORIGINAL_TO)
		add_address_field(c, "X-Original-To",
		    r->original.len > 0 ? r->original : r->address, false);
	if (flags & COPY_DELIVERED_TO)
		add_address_field(c, "Delivered-To", r->address, false);
}

int64_t message_copy(
    struct delivery *d, size_t recipient, unsigned flags, int fd, int64_t limit)
{
	struct copy c = {.fd = fd,
	    .limit = limit,
	    .pending = BUF_INIT(COPY_BUFFER + RECORD_DATA_MAX),
	    .flags = flags};
	add_agent_fields(&c, d, recipient, flags);
	queue_file_content_start(&d->file, &d->envelope);
	struct str line;
	bool whole;
	int more, error = 0;
	while (
	    error == 0 && (more = queue_file_content_next(&d->file, &line, &whole)) == 1)
		error = copy_line(&c, line, whole);
	if (error == 0)
		error = more;
	if (error == 0 && (flags & COPY_MBOX))
		end_mbox(&c);
	if (error == 0)
		error = copy_flush(&c);
	buf_free(&c.pending);
	return error != 0 ? error : c.written;
}

int message_has_delivered_to(struct delivery *d, struct str address, bool *found_r)
{
	CLEANUP(buf_free) struct buf named = BUF_INIT(ADDRESS_MAX);
	struct str line;
	bool whole, found = false;
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
		found = found || str_equal_nocase(buf_str(&named), address);
	}
	if (more < 0)
		return more;
	*found_r = found;
	return 0;
}
