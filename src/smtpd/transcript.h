/*
 * What was said in a session, for the postmaster (notify_classes): kept while somebody
 * may want it, at most TRANSCRIPT_MAX bytes, and sent at its end when something happened
 * of a class that is wanted. Message text is never in it. Without any wanted class there
 * is none: session->transcript is NULL.
 */
#ifndef SMTPD_TRANSCRIPT_H
#define SMTPD_TRANSCRIPT_H

#include "base/buf.h"

struct session;
struct transcript;

#define TRANSCRIPT_MAX 65536 /* bytes; what comes later is left out, and that is said */

/* Kinds of trouble, as notify_classes names them. */
enum notice_class {
	NOTICE_NONE = 0,
	NOTICE_BOUNCE = 1, /* mail to nobody: told to bounce_notice_recipient */
	NOTICE_POLICY = 2,
	NOTICE_PROTOCOL = 4,
	NOTICE_RESOURCE = 8,
	NOTICE_SOFTWARE = 16,
};

/* The classes that a list of notify_classes names. */
unsigned transcript_classes(const char *list);
struct transcript *transcript_new(void);
void transcript_free(struct transcript *t); /* NULL is fine */
/* One command, and one reply, which counts as a line for smtpd_history_flush_threshold.
 */
void transcript_in(struct transcript *t, struct str line);
void transcript_out(struct transcript *t, struct str lines);
/* At HELO, RSET and the end of a message: what has become longer than
 * smtpd_history_flush_threshold lines is sent, if it has to be, and forgotten. */
void transcript_shorten(struct session *s);
/* Tells the postmaster when something happened that he wants to hear of; `reason` why the
 * session broke off, or NULL. Trouble is logged. */
void transcript_send(struct session *s, const char *reason);

#endif
