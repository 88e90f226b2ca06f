/*
 * The structure of a message (RFC 5322 2.2, RFC 2045, RFC 2046 5), recognised while it
 * streams through: lines in, events out, in the order of the text. Every line of the
 * input comes out in exactly one event, so a caller that writes what the events carry has
 * copied the message; what it changes, drops or adds on the way is its edit. Used by
 * cleanup on input, by the smtp client on output, and, between two of them, by the
 * conversion of 8-bit parts (mail/mime_convert.h).
 *
 * Never fails: text that fits no rule is body. Memory does not depend on the message but
 * for nesting (bounded), one header field (bounded) and its boundaries (bounded).
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

struct mime;

/* Which tables look at a header field, as Postfix has it. */
enum mime_class {
	MIME_HEADER_PRIMARY, /* of the message itself, but for MIME fields */
	MIME_HEADER_MIME,    /* MIME fields, and all fields of a part of a multipart */
	MIME_HEADER_NESTED,  /* of an attached message/rfc822, but for MIME fields */
};

enum mime_encoding { /* RFC 2045 6.1 */
	MIME_7BIT,
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED_PRINTABLE,
	MIME_BASE64,
	MIME_ENCODING_OTHER,
};

enum mime_type {
	MIME_TYPE_OTHER, /* text/plain and all that has no inner structure */
	MIME_TYPE_MULTIPART,
	MIME_TYPE_MESSAGE, /* with a header of its own: message/rfc822 and its like */
	MIME_TYPE_OPAQUE_MESSAGE, /* message/partial and its like: not looked into */
};

/* What strict receivers refuse. Reported when `report` has the bit, once each. */
enum mime_trouble {
	MIME_TOO_DEEP = 1, /* nested beyond nesting_limit: not looked into */
	MIME_8BIT_IN_HEADER = 2,
	MIME_8BIT_IN_BODY = 4,    /* of a part that does not announce it */
	MIME_ENCODING_DOMAIN = 8, /* multipart or message in base64 ... (RFC 2045 6.4) */
	MIME_HEADER_OPEN = 16,    /* the first header ends in a line that is not empty */
};
const char *mime_trouble_text(enum mime_trouble trouble);
const char *mime_trouble_status(enum mime_trouble trouble); /* "5.6.0" */

struct mime_options {
	unsigned nesting_limit; /* mime_nesting_limit */
	size_t boundary_limit;  /* mime_boundary_length_limit, bytes that are compared */
	size_t header_limit;    /* header_size_limit, bytes of a field that are kept */
	unsigned report;        /* enum mime_trouble bits */
	bool flat; /* behind the first header all is body (disable_mime_*_processing) */
};

/* A line of text outside headers, or a piece of it. */
struct mime_text {
	struct str line;
	bool whole;     /* a line end follows; false: more pieces of the line follow */
	bool separates; /* the empty line behind a header (or put there when missing) */
	bool boundary;  /* a delimiter of a multipart */
	bool added; /* not in the input: the empty line that the first header lacked */
	int64_t
	    offset; /* bytes of this part's body before this line, line ends counted */
};

/* All are called while mime_add_line or mime_end runs; strs are valid during the call.
 * Callbacks may suspend the fiber. */
struct mime_events {
	/* A complete field, folded lines with LF between, without the last line end. */
	void (*field)(void *context, enum mime_class field_class, struct str field);
	/* Behind the last field of a header, before the line that separates: more fields
	 * may be written. `primary`: of the message itself, exactly once a message. */
	void (*header_end)(void *context, bool primary);
	void (*text)(void *context, const struct mime_text *text);
	/* `excerpt`: the field or line that showed it. NULL: nobody wants to know. */
	void (*trouble)(void *context, enum mime_trouble trouble, struct str excerpt);
};

/* Options are copied, events and context stay the caller's. Never NULL. */
struct mime *mime_new(
    const struct mime_options *options, const struct mime_events *events, void *context);
void mime_free(struct mime *m); /* NULL is fine */

/* In a header nothing counts from a NUL to the end of its line. A line without its end,
 * or, `whole` false, a piece of one that is too long to be had at once. A piece that
 * begins a header field must hold the field's whole name. */
void mime_add_line(struct mime *m, struct str piece, bool whole);
/* The field that is being read is complete: a folded line that follows belongs to none.
 */
void mime_end_field(struct mime *m);
/* No more lines: completes a header that is open; no line is put behind it. A last piece
 * that was not whole stays not whole. */
void mime_end(struct mime *m);

/* True from the end of the first header on when what follows has no structure and nothing
 * is to be reported of it: the caller may pass the rest by. */
bool mime_rest_is_plain(const struct mime *m);

/* A Content-Transfer-Encoding that says 8bit or binary? */
bool mime_field_announces_8bit(struct str field);

/* Of the part whose header was read last (valid from header_end on). */
enum mime_type mime_part_type(const struct mime *m);
enum mime_encoding mime_part_encoding(const struct mime *m);

#endif
