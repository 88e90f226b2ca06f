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

int data_write_line(
    struct stream *s, struct str line, bool whole, size_t limit, bool *at_line_start)
{
	int error = 0;
	if (*at_line_start && line.len > 0 && line.p[0] == '.')
		error = stream_write(s, ".", 1);
	while (error == 0 && limit > 0 && line.len > limit) {
		error = stream_write(s, line.p, limit);
		line = str_skip(line, limit);
		if (error == 0)
			error = stream_write(s, "\r\n ", 3);
	}
	if (error == 0)
		error = stream_write_str(s, line);
	if (error == 0 && whole)
		error = stream_write(s, "\r\n", 2);
	*at_line_start = whole;
	return error;
}

int data_write_end(struct stream *s)
{
	return stream_write(s, ".\r\n", 3);
}
