#include "sendmail/content.h"

#include "mail/header.h"
#include "queue/record.h"

void content_init(struct content *c, struct buf *records, size_t line_max)
{
	*c = (struct content){.records = records,
	    .line_max = line_max,
	    .line = BUF_INIT(line_max + 1),
	    .field = BUF_INIT(CONTENT_FIELD_MAX)};
}

void content_free(struct content *c)
{
	buf_free(&c->line);
	buf_free(&c->field);
}

/* --- the header --- */

static void field_end(struct content *c)
{
	struct str field = buf_str(&c->field);
	size_t name = header_name_length(field);
	if (name > 0) {
		const struct header_row *row = header_find(str_slice(field, 0, name));
		if (row->flags & HEADER_EXTRACT)
			c->recipients(c->context, header_body(field),
			    (row->flags & HEADER_IS_RESENT) != 0);
	}
	buf_clear(&c->field);
}

/* The beginning of a line. A line that is no header ends the header, and gets the empty
 * line before it that is missing. */
static void header_line(struct content *c, struct str line)
{
	bool folded = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	if (folded && c->field.len > 0) {
		buf_add_char(&c->field, '\n');
		buf_add_str(&c->field, line);
		return;
	}
	field_end(c);
	if (header_name_length(line) > 0) {
		buf_add_str(&c->field, line);
		return;
	}
	c->in_body = true;
	if (line.len > 0)
		record_write(c->records, RECORD_LINE, STR_EMPTY);
}

/* --- lines --- */

/* A piece of a line goes out: the last one with `whole`. */
static void put(struct content *c, struct str piece, bool whole)
{
	if (c->extract && !c->in_body) {
		if (!c->in_line)
			header_line(c, piece);
		else
			buf_add_str(&c->field, piece);
		c->too_long = c->too_long || !buf_ok(&c->field);
	}
	record_write(c->records, whole ? RECORD_LINE : RECORD_PART, piece);
}

static bool is_mailbox_line(struct str line)
{
	return str_starts(line, STR("From ")) || str_starts(line, STR(">From "));
}

/* A line of a dot: with its end, or the input's. */
static bool is_last_dot(const struct content *c, struct str line)
{
	return !c->in_line && !c->dot_is_text && str_is(line, ".");
}

/* Handles c->line as far as it has come; `whole`: its end is there. */
static void flush_line(struct content *c, bool whole)
{
	struct str line = buf_str(&c->line);
	if (!c->in_line && !c->started)
		c->dropping = is_mailbox_line(line);
	if (is_last_dot(c, line)) {
		c->ended = true;
		return;
	}
	if (!c->dropping) {
		c->started = true;
		put(c, line, whole);
	}
	c->in_line = !whole;
}

static size_t without_cr(struct str line)
{
	size_t len = line.len;
	while (len > 0 && line.p[len - 1] == '\r')
		len--;
	return len;
}

static bool removes_cr(const struct content *c)
{
	return c->line_ends != CONTENT_NEVER;
}

static void line_end(struct content *c)
{
	size_t len = without_cr(buf_str(&c->line));
	/* The first line decides for all. */
	if (!c->first_end_seen && c->line_ends == CONTENT_STRICT && len == c->line.len)
		c->line_ends = CONTENT_NEVER;
	c->first_end_seen = true;
	if (removes_cr(c))
		buf_truncate(&c->line, len);
	flush_line(c, true);
	buf_clear(&c->line);
}

/* The line is as long as a record may be. A CR at its end may belong to the line end. */
static void line_full(struct content *c)
{
	struct str all = buf_str(&c->line);
	size_t len = removes_cr(c) ? without_cr(all) : all.len;
	if (len == 0)
		len = all.len;
	size_t kept = all.len - len;
	buf_truncate(&c->line, len);
	flush_line(c, false);
	buf_clear(&c->line);
	buf_add_fill(&c->line, '\r', kept);
}

bool content_text(struct content *c, struct str text)
{
	while (text.len > 0 && !c->ended && !c->too_long) {
		struct str some = str_slice(text, 0, c->line_max - c->line.len);
		ptrdiff_t end = str_find(some, '\n');
		if (end >= 0)
			some = str_slice(some, 0, (size_t)end);
		buf_add_str(&c->line, some);
		text = str_skip(text, some.len + (end >= 0 ? 1 : 0));
		if (end >= 0)
			line_end(c);
		else if (c->line.len == c->line_max)
			line_full(c);
	}
	return !c->ended && !c->too_long;
}

void content_end(struct content *c)
{
	if (!c->ended && c->line.len > 0) /* no line end came: it is kept that way */
		flush_line(c, false);
	if (c->extract && !c->in_body)
		field_end(c);
}
