/*
 * Message text on the wire (RFC 5321 4.5.2): dots, line ends, the end of data; reading as
 * a server and writing as a client. Inside, lines end in LF.
 */
#ifndef SMTP_WIRE_DATA_H
#define SMTP_WIRE_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "net/stream.h"

enum bare_newline {
	BARE_NEWLINE_ALLOW,     /* no: LF.LF ends data too */
	BARE_NEWLINE_NORMALIZE, /* bare LF is a line end, but only CRLF.CRLF ends data */
	BARE_NEWLINE_REJECT,    /* as normalize; the caller refuses at the end */
};

/* A decoder that is fed bytes as they come: dots removed, CRLF and bare LF become LF. A
 * CR elsewhere is text. */
struct data_decoder {
	enum bare_newline mode;
	uint8_t state; /* private */
	bool saw_bare_lf;
	bool ended;    /* the end of data was consumed */
	int64_t lines; /* LFs that went out */
};
void data_decoder_init(struct data_decoder *d, enum bare_newline mode);
/*
 * Takes bytes of `in`, adds text to `out`, stops at the end of data. Result: bytes of
 * `in` used. When `out` is full (its ceiling), decoding goes on without storing and
 * out->overflow is set: the caller answers 552.
 */
size_t data_decode(struct data_decoder *d, struct str in, struct buf *out);

/*
 * Writing as a client: CRLF ends, leading dots doubled, lines over `limit` bytes (0:
 * none; doubled dots do not count) broken with CRLF and a blank. An LF in the text, which
 * no queue record should hold, is a line end like others, so that what follows is stuffed
 * too.
 */
struct data_writer {
	struct stream *stream;
	size_t limit, column; /* column: bytes of the line so far */
	bool broke;           /* some line was too long */
};
void data_writer_init(struct data_writer *w, struct stream *s, size_t limit);
/* A line, or, without `whole`, a part of one. 0 or the stream's error. */
MUST_USE int data_write_line(struct data_writer *w, struct str line, bool whole);
MUST_USE int data_end_line(struct data_writer *w); /* that is not ended yet */
/* Ends a line that is not ended yet, then ".\r\n". */
MUST_USE int data_write_end(struct data_writer *w);

#endif
