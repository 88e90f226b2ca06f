#include "smtp_wire/data.h"

/* Where in a line the decoder is. */
enum {
	/* The line before ended in CR LF: a dot may end the data. */
	LINE_START_AFTER_CRLF,
	LINE_START_AFTER_LF,
	DOT_AFTER_CRLF, /* one dot at the start of a line */
	DOT_AFTER_LF,
	DOT_CR_AFTER_CRLF,
	DOT_CR_AFTER_LF,
	TEXT,
	TEXT_CR, /* a CR: part of the line end, or text */
};

void data_decoder_init(struct data_decoder *d, enum bare_newline mode)
{
	*d = (struct data_decoder){.mode = mode, .state = LINE_START_AFTER_CRLF};
}

static void end_line(struct data_decoder *d, bool with_cr)
{
	d->lines++;
	d->saw_bare_lf = d->saw_bare_lf || !with_cr;
	d->state = with_cr ? LINE_START_AFTER_CRLF : LINE_START_AFTER_LF;
}

/* The rest of a line with its end, or what is there of it. */
static size_t take_line(struct data_decoder *d, struct str in, struct buf *out)
{
	const char *lf = memchr(in.p, '\n', in.len);
	size_t len = lf != NULL ? (size_t)(lf - in.p) : in.len;
	bool cr = len > 0 && in.p[len - 1] == '\r';
	if (lf == NULL) {
		buf_add(out, in.p, cr ? len - 1 : len);
		d->state = cr ? TEXT_CR : TEXT;
		return len;
	}
	buf_add(out, in.p, cr ? len : len + 1);
	if (cr && buf_ok(out))
		out->p[out->len - 1] = '\n';
	end_line(d, cr);
	return len + 1;
}

/* After ".": the dot is dropped unless this ends the data. RFC 5321 4.5.2. */
static size_t take_after_dot(struct data_decoder *d, char c)
{
	bool after_crlf = d->state == DOT_AFTER_CRLF;
	if (c == '\r')
		d->state = after_crlf ? DOT_CR_AFTER_CRLF : DOT_CR_AFTER_LF;
	else if (c == '\n' && d->mode == BARE_NEWLINE_ALLOW)
		d->ended = true;
	else {
		d->state = TEXT;
		return 0;
	}
	return 1;
}

/* After a CR that may be half of a line end: what else follows is text, and so is the CR.
 */
static size_t take_after_cr(struct data_decoder *d, char c, struct buf *out)
{
	bool may_end = d->state == DOT_CR_AFTER_CRLF ||
	    (d->state == DOT_CR_AFTER_LF && d->mode == BARE_NEWLINE_ALLOW);
	if (c == '\n' && may_end)
		d->ended = true;
	else if (c == '\n') {
		buf_add_char(out, '\n');
		end_line(d, true);
	} else {
		buf_add_char(out, '\r');
		d->state = TEXT;
		return 0;
	}
	return 1;
}

/* Goes one state on. Result: bytes used. */
static size_t take(struct data_decoder *d, struct str in, struct buf *out)
{
	switch (d->state) {
	case LINE_START_AFTER_CRLF:
	case LINE_START_AFTER_LF:
		if (in.p[0] != '.')
			return take_line(d, in, out);
		d->state =
		    d->state == LINE_START_AFTER_CRLF ? DOT_AFTER_CRLF : DOT_AFTER_LF;
		return 1;
	case DOT_AFTER_CRLF:
	case DOT_AFTER_LF:
		return take_after_dot(d, in.p[0]);
	case DOT_CR_AFTER_CRLF:
	case DOT_CR_AFTER_LF:
	case TEXT_CR:
		return take_after_cr(d, in.p[0], out);
	default:
		return take_line(d, in, out);
	}
}

size_t data_decode(struct data_decoder *d, struct str in, struct buf *out)
{
	size_t at = 0;
	while (at < in.len && !d->ended)
		at += take(d, str_skip(in, at), out);
	return at;
}

void data_writer_init(struct data_writer *w, struct stream *s, size_t limit)
{
	/* A broken line starts with a blank and has to hold one byte more. */
	*w = (struct data_writer){.stream = s, .limit = limit == 1 ? 2 : limit};
}

static int write_end_of_line(struct data_writer *w)
{
	w->column = 0;
	return stream_write(w->stream, "\r\n", 2);
}

static int write_part(struct data_writer *w, struct str part)
{
	int error = 0;
	if (w->column == 0 && part.len > 0 && part.p[0] == '.')
		error = stream_write(w->stream, ".", 1);
	while (error == 0 && w->limit > 0 && w->column + part.len > w->limit) {
		size_t room = w->limit - w->column;
		error = stream_write(w->stream, part.p, room);
		part = str_skip(part, room);
		if (error == 0)
			error = stream_write(w->stream, "\r\n ", 3);
		w->column = 1;
		w->broke = true;
	}
	w->column += part.len;
	return error != 0 ? error : stream_write_str(w->stream, part);
}

int data_write_line(struct data_writer *w, struct str line, bool whole)
{
	int error = 0;
	ptrdiff_t end;
	while (error == 0 && (end = str_find(line, '\n')) >= 0) {
		error = write_part(w, str_slice(line, 0, (size_t)end));
		if (error == 0)
			error = write_end_of_line(w);
		line = str_skip(line, (size_t)end + 1);
	}
	if (error == 0)
		error = write_part(w, line);
	return error != 0 || !whole ? error : write_end_of_line(w);
}

int data_end_line(struct data_writer *w)
{
	return w->column > 0 ? write_end_of_line(w) : 0;
}

int data_write_end(struct data_writer *w)
{
	int error = data_end_line(w);
	return error != 0 ? error : stream_write(w->stream, ".\r\n", 3);
}
