/*
 * Message text: cut into lines, the header collected field by field, the body written as
 * it comes. Long lines are written in pieces, so memory does not depend on what a
 * stranger sends.
 */
#include "cleanup/cleanup.h"

void content_start(struct message *m)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	buf_init(&m->line, limit + 1);
	buf_init(&m->field, (size_t)cleanup.params.header_size_limit + limit + 2);
}

/* A CR or NUL inside a line would make two lines of it for somebody
 * (cleanup_replace_stray_cr_lf). */
static void clean_line(const struct message *m, struct buf *line)
{
	if (cleanup.params.cleanup_replace_stray_cr_lf && line->len > 0)
		for (char *cr = memchr(line->p, '\r', line->len); cr != NULL;
		     cr = memchr(cr, '\r', line->len - (size_t)(cr - line->p)))
			*cr = ' ';
	const char *nul =
	    line->len > 0 && !m->in_body ? memchr(line->p, '\0', line->len) : NULL;
	if (nul != NULL)
		buf_truncate(line, (size_t)(nul - line->p));
}

static void write_line(struct message *m, struct str line)
{
	record_write(&m->out, RECORD_LINE, line);
	message_write_out(m);
}

void content_write_lines(struct message *m, struct str text)
{
	for (;;) {
		ptrdiff_t end = str_find(text, '\n');
		struct str line = end < 0 ? text : str_slice(text, 0, (size_t)end);
		queue_text_records(
		    &m->out, line, (size_t)service_common()->line_length_limit);
		message_write_out(m);
		if (end < 0)
			return;
		text = str_skip(text, (size_t)end + 1);
	}
}

static void field_done(struct message *m)
{
	if (m->field.len > 0)
		header_field(m, buf_str(&m->field));
	buf_clear(&m->field);
}

static void header_done(struct message *m)
{
	field_done(m);
	header_end(m);
	m->in_body = true;
}

/* The first line of an old mailbox copy, "From user date", is kept under a name. */
static bool is_mailbox_from(struct message *m, struct str line)
{
	bool first = !m->first_line_done;
	m->first_line_done = true;
	return first && header_name_length(line) == 0 &&
	    (str_starts(line, STR("From ")) || str_starts(line, STR(">From ")));
}

/* Beyond header_size_limit the rest of a field is dropped. */
static void extend_field(struct message *m, const char *between, struct str text)
{
	if (m->field.len >= (size_t)cleanup.params.header_size_limit)
		return;
	buf_add_cstr(&m->field, between);
	buf_add_str(&m->field, text);
}

static void header_line(struct message *m, struct str line)
{
	bool folded = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	if (is_mailbox_from(m, line)) {
		extend_field(m, "X-Mailbox-Line: ", line);
		return;
	}
	if (folded && m->field.len > 0) {
		extend_field(m, "\n", line);
		return;
	}
	field_done(m);
	if (header_name_length(line) > 0) {
		buf_add_str(&m->field, line);
		return;
	}
	header_done(m);
	if (line.len > 0) /* no empty line between header and body: we put one */
		write_line(m, STR_EMPTY);
	write_line(m, line);
}

static void whole_line(struct message *m)
{
	clean_line(m, &m->line);
	if (m->in_body)
		write_line(m, buf_str(&m->line));
	else if (m->line_is_part)
		extend_field(m, "", buf_str(&m->line));
	else
		header_line(m, buf_str(&m->line));
	m->line_is_part = false;
	buf_clear(&m->line);
}

/* A line over the limit: in the header the field grows, in the body it is cut into parts.
 */
static void long_line(struct message *m)
{
	clean_line(m, &m->line);
	if (m->in_body) {
		record_write(&m->out, RECORD_PART, buf_str(&m->line));
		m->line_is_part = true;
		message_write_out(m);
	} else {
		if (m->line_is_part)
			extend_field(m, "", buf_str(&m->line));
		else
			header_line(m, buf_str(&m->line));
		m->line_is_part = true;
	}
	buf_clear(&m->line);
}

static void add_piece(struct message *m, struct str piece)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	while (m->line.len + piece.len > limit) {
		size_t room = limit - m->line.len;
		buf_add_str(&m->line, str_slice(piece, 0, room));
		piece = str_skip(piece, room);
		long_line(m);
	}
	buf_add_str(&m->line, piece);
}

/* Body text that has no CR and short lines goes straight to its records. */
static bool write_directly(struct message *m, struct str line)
{
	if (!m->in_body || m->line.len > 0 || m->line_is_part ||
	    line.len >= (size_t)service_common()->line_length_limit ||
	    memchr(line.p, '\r', line.len) != NULL)
		return false;
	write_line(m, line);
	return true;
}

static bool is_too_big(struct message *m, size_t more)
{
	int64_t limit = service_common()->message_size_limit;
	m->text_size += (int64_t)more;
	if (limit > 0 && m->text_size > limit)
		message_fail(m, CLEANUP_TOO_BIG, "");
	return m->status != CLEANUP_OK;
}

void content_add(struct message *m, struct str text)
{
	if (is_too_big(m, text.len))
		return;
	while (text.len > 0) {
		const char *end = memchr(text.p, '\n', text.len);
		if (end == NULL) {
			add_piece(m, text);
			return;
		}
		struct str line = {text.p, (size_t)(end - text.p)};
		text = str_skip(text, line.len + 1);
		if (write_directly(m, line))
			continue;
		add_piece(m, line);
		whole_line(m);
	}
}

/* A last line without line end stays one: L, then an empty N. */
void content_end(struct message *m)
{
	if (m->in_body && m->line.len > 0) {
		clean_line(m, &m->line);
		record_write(&m->out, RECORD_PART, buf_str(&m->line));
		write_line(m, STR_EMPTY);
	} else if (m->line.len > 0 || m->line_is_part) {
		whole_line(m);
	}
	if (m->in_body)
		return;
	header_done(m);
	if (m->text_size > 0)
		write_line(m, STR_EMPTY);
}
