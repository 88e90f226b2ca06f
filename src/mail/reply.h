/*
 * SMTP replies (RFC 5321 4.2): code, enhanced status (RFC 2034), text of one or several
 * lines. Used by the server to write and by the client to read.
 */
#ifndef MAIL_REPLY_H
#define MAIL_REPLY_H

#include <stdbool.h>
#include "base/buf.h"
#include "mail/why.h"

#define REPLY_TEXT_MAX  16384 /* bytes kept of all lines of one reply */
#define REPLY_LINES_MAX 1000

struct reply {
	int code;         /* 200..599 */
	char status[10];  /* enhanced code of the last line or "" */
	struct buf text;  /* all lines, codes and status kept, joined by one blank */
	struct buf lines; /* the same with "\n" between (EHLO) */
	unsigned count;   /* lines so far */
	bool complete;    /* the next line starts a new reply */
};

void reply_init(struct reply *r);
void reply_free(struct reply *r);
void reply_clear(struct reply *r);
/* Adds one line (CRLF removed). 1: more follow ("250-"), 0: the reply is complete,
 * -EBADMSG: not a reply. 8-bit and control bytes become '?'. */
MUST_USE int reply_add_line(struct reply *r, struct str line);

static inline int reply_class(const struct reply *r)
{
	return r->code / 100;
}

/* "450 4.2.0 text" from code, status ("" none) and text; text may already start with an
 * enhanced code, which then wins (its class is made to fit the code). */
void reply_write(struct buf *out, int code, const char *status, struct str text);

#endif
