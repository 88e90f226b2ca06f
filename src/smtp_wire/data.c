#include "smtp_wire/data.h"

/* Where in a line the decoder is. */
enum {
	LINE_START_AFTER_CRLF, /* the line before ended in CR LF: a dot may end the data
				*/
	LINE_START_AFTER_LF,
	DOT_AFTER_CRLF, /* one dot at the start of a line */
	DOT_AFTER_LF,
	DOT_CR_AFTER_CRLF,
	DOT_CR_AFTER_LF,
	TEXT,
	TEXT_CR, /* a CR: part of the line end, or stray */
};

void data_decoder_init(struct data_decoder *d, enum bare_newline mode, bool replace_cr)
{
	*d = (struct data_decoder){
	    .mode = mode, .replace_cr = replace_cr, .state = LINE_START_AFTER_CRLF};
}

static void stray_cr(struct data_decoder *d, struct buf *out)
{
	d->saw_bare_cr = true;
	buf_add_char(out, d->replace_cr ? ' ' : '\r');
}

static void end_line(struct data_decoder *d, struct buf *out, bool with_cr)
{
	buf_add_char(out, '\n');
	d->saw_bare_lf = d->saw_bare_lf || !with_cr;
	d->state = with_cr ? LINE_START_AFTER_CRLF : LINE_START_AFTER_LF;
}

/* A byte in the middle of a line. */
static void text_byte(struct data_decoder *d, char c, struct buf *out)
{
	if (c == '\r') {
		d->state = TEXT_CR;
	} else if (c == '\n') {
		end_line(d, out, false);
	} else {
		buf_add_char(out, c);
		d->state = TEXT;
	}
}

/* After ".": the dot is dropped unless this ends the data. RFC 5321 4.5.2. */
static void dot_byte(struct data_decoder *d, char c, struct buf *out)
{
	if (c == '\r')
		d->state =
		    d->state == DOT_AFTER_CRLF ? DOT_CR_AFTER_CRLF : DOT_CR_AFTER_LF;
	else if (c == '\n' && d->mode == BARE_NEWLINE_ALLOW)
		d->ended = true;
	else
		text_byte(d, c, out);
}

/* After ".\r". */
static void dot_cr_byte(struct data_decoder *d, char c, struct buf *out)
{
	bool may_end = d->state == DOT_CR_AFTER_CRLF || d->mode == BARE_NEWLINE_ALLOW;
	if (c == '\n' && may_end) {
		d->ended = true;
	} else if (c == '\n') {
		end_line(d, out, true);
	} else {
		stray_cr(d, out);
		text_byte(d, c, out);
	}
}

static void decode_byte(struct data_decoder *d, char c, struct buf *out)
{
	switch (d->state) {
	case LINE_START_AFTER_CRLF:
	case LINE_START_AFTER_LF:
		if (c == '.')
			d->state = d->state == LINE_START_AFTER_CRLF ? DOT_AFTER_CRLF
								     : DOT_AFTER_LF;
		else
			text_byte(d, c, out);
		break;
	case DOT_AFTER_CRLF:
	case DOT_AFTER_LF:
		dot_byte(d, c, out);
		break;
	case DOT_CR_AFTER_CRLF:
	case DOT_CR_AFTER_LF:
		dot_cr_byte(d, c, out);
		break;
	case TEXT_CR:
		if (c == '\n') {
			end_line(d, out, true);
			break;
		}
		stray_cr(d, out);
		text_byte(d, c, out);
		break;
	default:
		text_byte(d, c, out);
	}
}

/* Text up to the next CR or LF goes out in one piece. */
static size_t text_run(struct str in, struct buf *out)
{
	const char *end = memchr(in.p, '\n', in.len);
	size_t len = end != NULL ? (size_t)(end - in.p) : in.len;
	const char *cr = memchr(in.p, '\r', len);
	if (cr != NULL)
		len = (size_t)(cr - in.p);
	buf_add(out, in.p, len);
	return len;
}

size_t data_decode(struct data_decoder *d, struct str in, struct buf *out)
{
	size_t at = 0;
	while (at < in.len && !d->ended) {
		if (d->state == TEXT)
			at += text_run(str_skip(in, at), out);
		if (at < in.len)
			decode_byte(d, in.p[at++], out);
	}
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
