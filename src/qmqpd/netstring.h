/*
 * Netstrings as QMQP has them: "5:hello,". The reader takes bytes from a source that may
 * wait, and never holds more than its caller's ceiling. As lenient as Postfix: no digits
 * are a length of 0, and the length of the whole packet is not compared with its parts.
 */
#ifndef QMQPD_NETSTRING_H
#define QMQPD_NETSTRING_H

#include <stdint.h>
#include "base/buf.h"

struct netstring_source {
	/* Bytes that are there, at least one; STREAM_EOF or -errno. */
	ssize_t (*peek)(void *context, const char **bytes_r);
	void (*skip)(void *context, size_t count);
	void *context;
};

enum netstring_result {
	NETSTRING_OK,
	NETSTRING_LOST,      /* the peer left between two parts */
	NETSTRING_TIMEOUT,   /* the same, waiting */
	NETSTRING_MALFORMED, /* also: it broke off within a string */
	NETSTRING_TOO_LONG
};
/* The words of log lines and replies. */
const char *netstring_result_text(enum netstring_result r);

/* "5:". A length above `max` is TOO_LONG. */
MUST_USE enum netstring_result netstring_length(
    const struct netstring_source *s, int64_t max, int64_t *length_r);
/* A whole one of at most `max` bytes, into `out` (cleared first). */
MUST_USE enum netstring_result netstring_read(
    const struct netstring_source *s, int64_t max, struct buf *out);
/* OK with *there_r true: the next byte is `c`, and taken. */
MUST_USE enum netstring_result netstring_take(
    const struct netstring_source *s, char c, bool *there_r);

#endif
