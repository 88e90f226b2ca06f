/*
 * Log lines that tools parse (pflogsumm, fail2ban), each shape written once. Addresses
 * come in internal form and are shown as info_log_address_format says.
 */
#ifndef MAIL_LOG_LINES_H
#define MAIL_LOG_LINES_H

#include <stdint.h>
#include <sys/time.h>
#include "base/buf.h"

/* delays=a/b/c/d of one delivery, microseconds: before qmgr, in qmgr, connection setup,
 * transmission. Shown with two significant digits, at most `digits` decimals. */
struct log_delays {
	int64_t before_qmgr, in_qmgr, setup, transmission;
};

struct log_delivery {
	struct str queue_id, recipient, original; /* original: empty when the same */
	struct str relay;                         /* "none", "local", "host[ip]:port" */
	unsigned reused;                          /* conn_use=, shown when > 1 */
	struct log_delays delays;
	struct str status; /* "2.0.0" */
	const char *word;  /* sent bounced deferred SOFTBOUNCE ... */
	struct str text;
};

/* QID: to=<a>, orig_to=<b>, relay=r, conn_use=n, delay=D, delays=a/b/c/d, dsn=X,
 * status=word (text) */
void log_delivery(const struct log_delivery *d);
void log_delays_digits(int digits); /* delay_logging_resolution_limit */
/* QID: from=<a>, size=N, nrcpt=N (queue active) */
void log_queue_active(
    struct str queue_id, struct str sender, int64_t size, uint32_t nrcpt);
void log_expired(struct str queue_id, struct str sender, bool forced);
void log_removed(struct str queue_id);
void log_message_id(struct str queue_id, struct str message_id, bool resent);
/* QID|NOQUEUE: reject: RCPT from S: text; from=<> to=<> proto=P helo=<h> */
struct log_reject {
	struct str queue_id; /* empty: NOQUEUE */
	const char *action;  /* reject, reject_warning, hold, ... */
	const char *where;   /* RCPT, CONNECT, END-OF-MESSAGE */
	struct str client;   /* host[addr] */
	struct str text;
	const struct str *sender, *recipient; /* NULL: not known yet, left out */
	struct str protocol, helo;            /* empty: left out */
};
void log_reject(const struct log_reject *r);

/* QID: reject: header EXCERPT from S; from=<> to=<> proto=P helo=<h>: text */
struct log_content {
	struct str queue_id;
	const char *action;           /* reject, warning, hold ... */
	const char *what;             /* header, body, content */
	struct str excerpt;           /* at most LOG_EXCERPT_MAX bytes of it are shown */
	struct str client;            /* host[addr], or local */
	struct str sender, recipient; /* recipient empty: not known */
	struct str protocol, helo;    /* empty: left out */
	struct str text;              /* empty: left out */
};
#define LOG_EXCERPT_MAX 200
void log_content(const struct log_content *c);

#endif
