/*
 * Message text: cut into lines, given to the MIME recogniser, what comes out of it
 * checked and written. Long lines are taken in pieces, so memory does not depend on what
 * a stranger sends. Body that nobody wants to look at goes straight to the file.
 */
#include "cleanup/checks.h"
#include "queue/queue_write.h"

static void write_line(struct message *m, struct str line)
{
	record_write(m->out, RECORD_LINE, line);
	message_write_out(m);
}

void content_write_lines(struct message *m, struct str text)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	for (;;) {
		ptrdiff_t end = str_find(text, '\n');
		struct str line = end < 0 ? text : str_slice(text, 0, (size_t)end);
		while (queue_text_record(m->out, &line, limit))
			message_write_out(m);
		message_write_out(m);
		if (end < 0)
			return;
		text = str_skip(text, (size_t)end + 1);
	}
}

/* --- what the recogniser gives out --- */

static void on_field(void *context, enum mime_class field_class, struct str field)
{
	struct message *m = context;
	CLEANUP(buf_free) struct buf replacement = BUF_INIT(TABLE_VALUE_MAX);
	switch (checks_header(m, field_class, field, &replacement)) {
	case CHECK_DROP:
		return;
	case CHECK_REPLACE:
		field = buf_str(&replacement);
		break;
	case CHECK_KEEP:
		break;
	}
	if (cleanup.params.detect_8bit_encoding_header &&
	    mime_field_announces_8bit(field))
		m->announces_8bit = true;
	if (m->in_body)
		content_write_lines(m, field);
	else
		header_field(m, field);
}

static void on_header_end(void *context, bool primary)
{
	struct message *m = context;
	if (!primary)
		return;
	if (m->status == CLEANUP_OK)
		header_end(m);
	m->in_body = true;
	m->plain = m->convert == NULL && !m->edits_bytes &&
	    (cleanup.checks == NULL || content_checks_body_empty(cleanup.checks) ||
		m->unchecked || (m->envelope.flags & CLEANUP_FILTER) == 0) &&
	    mime_rest_is_plain(m->mime);
}

static void on_text(void *context, const struct mime_text *text)
{
	struct message *m = context;
	struct str line = text->line;
	CLEANUP(buf_free) struct buf replacement = BUF_INIT(TABLE_VALUE_MAX);
	switch (checks_body(m, text, &replacement)) {
	case CHECK_DROP:
		return;
	case CHECK_REPLACE:
		line = buf_str(&replacement);
		break;
	case CHECK_KEEP:
		break;
	}
	if (text->whole && line.len >= (size_t)service_common()->line_length_limit) {
		content_write_lines(m, line);
		return;
	}
	record_write(m->out, text->whole ? RECORD_LINE : RECORD_PART, line);
	message_write_out(m);
}

static void on_trouble(void *context, enum mime_trouble trouble, struct str excerpt)
{
	checks_mime(context, trouble, excerpt);
}

static const struct mime_events events = {on_field, on_header_end, on_text, on_trouble};

void content_start(struct message *m)
{
	buf_init(&m->line, (size_t)service_common()->line_length_limit + 1);
	m->edits_bytes =
	    cleanup.bytes != NULL && (m->envelope.flags & CLEANUP_FILTER) != 0;
	if (cleanup.params.force_mime_input_conversion)
		m->convert = mime_convert_new(&cleanup.mime, &events, m);
	m->mime = m->convert != NULL ? mime_convert_input(m->convert)
				     : mime_new(&cleanup.mime, &events, m);
}

void content_release(struct message *m)
{
	if (m->convert == NULL)
		mime_free(m->mime);
	mime_convert_free(m->convert);
	buf_free(&m->line);
}

/* --- lines --- */

/* A CR or NUL inside a line would make two lines of it for somebody
 * (cleanup_replace_stray_cr_lf). */
static void clean_line(struct message *m, struct buf *line)
{
	if (cleanup.params.cleanup_replace_stray_cr_lf && line->len > 0)
		for (char *cr = memchr(line->p, '\r', line->len); cr != NULL;
		     cr = memchr(cr, '\r', line->len - (size_t)(cr - line->p)))
			*cr = ' ';
	if (m->edits_bytes)
		bytes_edit(m, line);
}

/* The first line of an old mailbox copy, "From user date", is kept under a name. */
static bool is_mailbox_from(struct message *m, struct str line)
{
	bool first = !m->first_line_done;
	m->first_line_done = true;
	return first && header_name_length(line) == 0 &&
	    (str_starts(line, STR("From ")) || str_starts(line, STR(">From ")));
}

static void give_line(struct message *m, struct str line, bool whole)
{
	if (m->plain) {
		record_write(m->out, whole ? RECORD_LINE : RECORD_PART, line);
		message_write_out(m);
		return;
	}
	if (!m->in_body && is_mailbox_from(m, line))
		mime_add_line(m->mime, STR("X-Mailbox-Line: "), false);
	mime_add_line(m->mime, line, whole);
}

/* What was collected: a line, or, when it is over the limit, a part of one. */
static void collected(struct message *m, bool whole)
{
	clean_line(m, &m->line);
	give_line(m, buf_str(&m->line), whole);
	m->line_is_part = !whole;
	buf_clear(&m->line);
}

static void add_piece(struct message *m, struct str piece)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	while (m->line.len + piece.len > limit) {
		size_t room = limit - m->line.len;
		buf_add_str(&m->line, str_slice(piece, 0, room));
		piece = str_skip(piece, room);
		collected(m, false);
	}
	buf_add_str(&m->line, piece);
}

/* A short line that came whole and has nothing to be cleaned is not copied. */
static bool give_directly(struct message *m, struct str line, bool text_has_cr)
{
	if (m->line.len > 0 || m->line_is_part || m->edits_bytes ||
	    line.len >= (size_t)service_common()->line_length_limit ||
	    (text_has_cr && str_find(line, '\r') >= 0))
		return false;
	give_line(m, line, true);
	return true;
}

static void add_line(struct message *m, struct str line, bool text_has_cr)
{
	if (give_directly(m, line, text_has_cr))
		return;
	add_piece(m, line);
	collected(m, true);
}

/* Body lines that need nothing but to be written. */
static struct str add_plain_lines(struct message *m, struct str text)
{
	size_t limit = (size_t)service_common()->line_length_limit;
	struct str some = str_slice(text, 0, COMMIT_MEMORY);
	size_t taken = record_write_lines(m->out, some, limit);
	message_write_out(m);
	return str_skip(text, taken);
}

static void add_text(struct message *m, struct str text)
{
	bool has_cr = str_find(text, '\r') >= 0;
	while (text.len > 0 && m->status == CLEANUP_OK) {
		if (m->plain && !has_cr && m->line.len == 0 && !m->line_is_part)
			text = add_plain_lines(m, text);
		ptrdiff_t end = str_find(text, '\n');
		if (end < 0) {
			add_piece(m, text);
			return;
		}
		add_line(m, str_slice(text, 0, (size_t)end), has_cr);
		text = str_skip(text, (size_t)end + 1);
	}
}

/* What message_size_limit leaves of a text; the header in front of it has its say. */
static struct str within_limit(struct message *m, struct str text)
{
	int64_t limit = service_common()->message_size_limit;
	int64_t room = limit - m->text_size;
	m->text_size += (int64_t)text.len;
	return limit > 0 && m->text_size > limit
	    ? str_slice(text, 0, room > 0 ? (size_t)room : 0)
	    : text;
}

/* Fields that a service of ours puts on top: no mailbox line, no part of the size. */
void content_add_received(struct message *m, struct str fields)
{
	m->first_line_done = true;
	for (ptrdiff_t end; (end = str_find(fields, '\n')) >= 0;
	     fields = str_skip(fields, (size_t)end + 1))
		add_line(m, str_slice(fields, 0, (size_t)end), true);
	if (fields.len > 0)
		add_line(m, fields, true);
	mime_end_field(m->mime);
	m->first_line_done = false;
}

void content_add(struct message *m, struct str text)
{
	struct str taken = within_limit(m, text);
	if (m->status == CLEANUP_OK)
		add_text(m, taken);
	if (taken.len < text.len)
		message_fail(m, CLEANUP_TOO_BIG, "");
}

/* A last line without line end stays one: L, then an empty N. */
void content_end(struct message *m)
{
	bool open = m->line.len > 0 || m->line_is_part;
	bool open_body = open && m->in_body;
	if (m->line.len > 0)
		collected(m, !open_body);
	if (m->status != CLEANUP_OK)
		return;
	mime_end(m->mime);
	if (m->convert != NULL)
		mime_convert_flush(m->convert);
	if (open_body)
		write_line(m, STR_EMPTY);
}
