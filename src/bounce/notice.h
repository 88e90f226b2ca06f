/*
 * The text of one notice: a multipart/report (RFC 3462, 3464) with an explanation, a
 * machine-readable report, and the message or its header.
 */
#ifndef BOUNCE_NOTICE_H
#define BOUNCE_NOTICE_H

#include "bounce/bounce.h"
#include "queue/bounce_log.h"
#include "queue/queue_file.h"

enum notice_kind { NOTICE_FAILURE, NOTICE_DELAY, NOTICE_TRACE, NOTICE_SUCCESS };

struct notice {
	enum notice_kind kind;
	const struct bounce_send *request;
	bool to_postmaster;      /* a copy for, or a double bounce to, the postmaster */
	bool headers_only;       /* whatever size it has: the postmaster's copy */
	bool no_message;         /* not even the header is shown */
	size_t most;             /* recipients that are told of; the others are counted */
	struct str sender;       /* who hears of failure: the message's, a list's owner */
	struct str recipient;    /* internal form */
	struct str only;         /* an address: speak of it alone; or empty */
	struct str text;         /* the explanation, expanded */
	struct str log;          /* the whole status log */
	struct queue_file *file; /* the message */
	const struct queue_envelope *envelope;
	struct buf *out; /* text up to and including the third part's header */
};

/* Header, explanation and report; how many recipients they are about (0: no notice is
 * due). */
size_t notice_write(struct notice *n);
/* One that is too big for cleanup becomes a smaller one: first without the text of the
 * message, then of half as many recipients as the `told` that it had. When the header
 * leaves no room for one of them, it goes, and all are tried again. False when nothing is
 * left to leave out. */
MUST_USE bool notice_shorten(struct notice *n, size_t told);
/* The message was sent with SMTPUTF8, and so is its notice. */
bool notice_is_utf8(const struct notice *n);
/* Whether the third part holds the header only. */
bool notice_headers_only(const struct notice *n);
/* The end of the message. */
void notice_write_end(const struct notice *n, struct buf *out);
/* Which text it has. */
enum notice_template_kind notice_template_of(const struct notice *n);
/* What is logged: "sender non-delivery notification". */
const char *notice_title(const struct notice *n);

#endif
