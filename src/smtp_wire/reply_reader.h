/* Replies of an SMTP server as a client reads them: bounded lines, bounded count. */
#ifndef SMTP_WIRE_REPLY_READER_H
#define SMTP_WIRE_REPLY_READER_H

#include "mail/reply.h"
#include "net/stream.h"

#define REPLY_LINE_MAX 2048 /* longer lines are cut; RFC 5321 4.5.3.1.5 says 512 */

/* 0; STREAM_EOF, -ETIMEDOUT, -errno; -EBADMSG: not SMTP. `r` is cleared first. */
MUST_USE int reply_read(struct stream *s, struct reply *r);

#endif
