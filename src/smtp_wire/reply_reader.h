/*
 * Replies of an SMTP server as a client reads them: bounded lines, bounded bytes. Lines
 * that are no reply at all (some servers put text between the lines of a greeting) are
 * passed over; a code that SMTP does not have is an error at once.
 */
#ifndef SMTP_WIRE_REPLY_READER_H
#define SMTP_WIRE_REPLY_READER_H

#include "mail/reply.h"
#include "net/stream.h"

#define REPLY_LINE_MAX 2048 /* longer lines are cut; RFC 5321 4.5.3.1.5 says 512 */
#define REPLY_BYTES_MAX \
	(256 * 1024) /* of one reply, what is cut or passed over included */

/* May change a line before it is looked at; CRLF is there and may be taken away. */
typedef void reply_filter(void *context, struct buf *line);

/* 0; STREAM_EOF, -ETIMEDOUT, -errno; -EBADMSG: not SMTP, or without end. `r` is cleared
 * first. `filter` may be NULL. */
MUST_USE int reply_read(
    struct stream *s, struct reply *r, reply_filter *filter, void *context);
/* What reply_read does with each line (CRLF may still be there). 1: more lines follow, 0:
 * complete, -EBADMSG. */
MUST_USE int reply_take_line(struct reply *r, struct str line);

#endif
