/*
 * struct why: the reason that may end in an SMTP reply or a bounce, filled where the
 * trouble happened. Later (4.x.x) or never (5.x.x), an enhanced status code (RFC 3463),
 * a text without line breaks, and, when a peer said it, who and what.
 */
#ifndef MAIL_WHY_H
#define MAIL_WHY_H

#include <stdbool.h>
#include "base/buf.h"

#define WHY_TEXT_MAX 4096

struct why {
	char status[10];      /* "4.4.1"; "" = no trouble */
	struct buf text;      /* for logs, mailq and notices; control bytes become '?' */
	struct buf diag_type; /* "smtp", "x-unix"; empty: none */
	struct buf diag_text; /* what the peer said, one line */
	struct buf mta_name;  /* the peer, for Remote-MTA; empty: none */
};

void why_init(struct why *w);
void why_free(struct why *w);
void why_clear(struct why *w);
void why_copy(struct why *to, const struct why *from);

/* Both return false, so that a function can end with: return why_later(w, ...). `status`
 * "4.4.1"; its first digit is made to fit. `w` may be NULL. */
bool why_later(struct why *w, const char *status, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool why_never(struct why *w, const char *status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* 4.3.0-style trouble of this system, "...: strerror". */
bool why_system(struct why *w, int error, const char *format, ...) PRINTF_LIKE(3, 4);
/* What a remote server said (RFC 3464 Diagnostic-Code smtp;...). */
void why_remote(struct why *w, struct str mta_name, struct str reply);

bool why_is_later(const struct why *w);
bool why_is_set(const struct why *w);
/* 4xx or 5xx stays what it is but for soft_bounce, which makes all "later". */
void why_soften(struct why *w);

#endif
