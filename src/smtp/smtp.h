/*
 * The objects of the SMTP and LMTP client: one program under two names, told apart by a
 * struct dialect and by the parameters (smtp_param_table, lmtp_param_table) that fill the
 * same struct.
 *
 *	smtp.c       main; one delivery: each destination, each host in turn
 *	destination.c  what a next hop says
 *	hosts.c      next hop into addresses: SRV, MX, A and AAAA, literals; hosts_order.c
 *	lookup.c     names as the parameters want them looked up
 *	source.c     the address that we connect from
 *	session.c    a connection to a server; session_cache.c keeps some for later
 *	greeting.c   the first words: greeting, EHLO
 *	envelope.c   the commands that name sender and recipients
 *	message.c    one message over a session: MAIL, RCPT, DATA
 *	text.c       what follows DATA; edit.c changes it on the way, generic.c addresses
 *	flags.c      flags= of the row: fields before the text, notices of success
 *	trouble.c    the words for what went wrong
 *	hosts_fuzz.c, reply_fuzz.c  any bytes as answers and replies
 *
 * Many deliveries run in one process, a fiber each.
 */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "base/list.h"
#include "deliver/delivery.h"
#include "dns/lookup.h"
#include "mail/reply.h"
#include "net/stream.h"
#include "service/service.h"
#include "smtp_params.h"

#define HOSTS_MAX 100

/* Where LMTP (RFC 2033) differs. */
struct dialect {
	const char *name, *hello;
	const char *greeting; /* "performing the EHLO handshake" */
	/* Next hops "unix:path" and "inet:host"; no MX lookup, no worry about loops, as a
	 * mail store on this machine is what it is for; no fall back to HELO. */
	bool local_store;
	bool reply_each; /* after the text: one reply for each accepted recipient */
};

struct smtp_state {
	const struct dialect *dialect;
	struct smtp_params params;
	struct net_address *own; /* inet_interfaces and proxy_interfaces */
	size_t own_count;
};
extern struct smtp_state smtp;

struct host {
	struct str name;            /* as in the log */
	struct net_address address; /* with port */
	unsigned preference;
	bool best;       /* no record of the domain names one that is preferred */
	bool other_port; /* not the one of all mail exchangers: no sign of a loop */
};

struct host_list {
	struct host hosts[HOSTS_MAX];
	size_t count;
	bool holds_us; /* we are an exchanger ourselves: no fallback relay, it might send
			  the mail back to us */
};

/* "domain", "domain:port", "[host]", "[1.2.3.4]:port"; LMTP: "unix:path", "inet:host". */
struct destination {
	struct str name;
	struct str service; /* the port as written, or smtp_tcp_port */
	uint16_t port;
	bool no_mx;
	bool literal; /* "[...]": neither MX nor SRV */
	bool explicit_port;
	bool is_path; /* `name` is a UNIX socket below the queue directory, or absolute */
};

struct session {
	struct stream *stream;
	struct host host; /* its name is `name` */
	char *name;
	char *key;   /* the next hop this connection may serve again */
	char *relay; /* "host[ip]:port" */
	char *peer;  /* "host[ip]" */
	uint32_t capabilities;
	int64_t size_limit; /* 0: none told */
	uint32_t xforward;  /* attributes that it takes with XFORWARD */
	bool plain_only;    /* disable_esmtp */
	bool delay_dot;     /* delay_dotcrlf */
	unsigned uses;
	const char *doing; /* for "lost connection ... while DOING" */
	bool broken;       /* nothing more can be said */
	bool lost;         /* broken because the server left or fell silent */
	bool closing;      /* it said 421: not for another message */
	bool unfinished;   /* a transaction was begun: RSET before the next */
	int64_t born, idle_until;
	struct list_link link; /* in the list of kept sessions */
};

/* --- destination.c --- */
bool destination_parse(struct str text, struct destination *r, struct why *why);
bool destination_is_other_port(const struct destination *d);
/* use_srv_lookup names its service. */
bool destination_wants_srv(const struct destination *d);

/* --- hosts.c --- */
/* Addresses in the order in which they are to be tried. */
bool hosts_find(const struct destination *d, struct arena *a, struct host_list *list,
    struct why *why);

/* --- session.c --- */
void session_before_jail(void);
/* Connects and says EHLO; `d` is whose turn it is. NULL: `why`; *reached_r tells whether
 * a connection was made. */
struct session *session_open(const struct host *h, struct str key,
    const struct delivery *d, bool *reached_r, struct why *why);
/* Keeps it for a while when `keep`, else says QUIT. */
void session_close(struct session *s, bool keep);
void session_free(struct session *s); /* without a word */
/* Whom it is with and what for; copies. */
void session_identify(struct session *s, const struct host *h, struct str key);
/* Sends a command line (without CRLF), not flushed; `seconds` for what had to be flushed
 * before it. Trouble shows when the reply is read. */
void session_send(
    struct session *s, const char *doing, int64_t seconds, struct str command);
/* Flushes and reads a reply within `seconds`. False: the connection is broken, `why` says
 * how. */
bool session_reply(struct session *s, const char *doing, int64_t seconds, struct reply *r,
    struct why *why);

/* --- session_cache.c --- */
void session_cache_before_jail(void);
/* The limits of its use permit it, and it works. */
bool session_keep(struct session *s);
/* A kept one for this next hop, or, with `h`, to its address, which is then for this host
 * and next hop. NULL: there is none. */
struct session *session_reuse(struct str key, const struct host *h);
/* More is waiting for this destination, or its connections are always kept. */
bool session_wants_cache(const struct delivery *d, const struct destination *destination);

/* --- greeting.c --- */
void greeting_before_jail(void);
bool greeting_exchange(struct session *s, const struct delivery *d, struct why *why);

/* --- envelope.c: whole command lines, without CRLF; the address is what is told --- */
void envelope_mail(struct buf *line, const struct session *s, const struct delivery *d,
    struct str address);
void envelope_rcpt(struct buf *line, const struct session *s,
    const struct delivery_recipient *r, struct str address);
/* The client whose mail it is, in one of two commands; empty when the server takes
 * nothing of it. */
enum xforward_command { XFORWARD_CLIENT, XFORWARD_SESSION, XFORWARD_COMMANDS };
void envelope_xforward(struct buf *line, const struct session *s,
    const struct delivery *d, enum xforward_command which);

/* --- message.c --- */
/* Gives every recipient that is pending its outcome; `why` is the last failure. */
void message_send(struct session *s, struct delivery *d, struct why *why);

/* --- text.c --- */
/* The text, dots stuffed, CRLF after each line, and its end; not flushed. 0, -EBADMSG
 * (corrupt file), -EAGAIN (a table does not answer), or the stream's error. */
MUST_USE int text_send(struct session *s, struct delivery *d);

/* --- trouble.c --- */
bool trouble_connect(struct why *why, const struct host *h, int error);
bool trouble_lost(struct why *why, const struct session *s, int error);
/* "host H[a] refused to talk to me: 554 ..."; later in any case when `skip`. */
bool trouble_refused(
    struct why *why, const struct session *s, const struct reply *r, bool skip);
/* "host H[a] said: 550 ... (in reply to X command)" */
bool trouble_said(
    struct why *why, const struct session *s, const struct reply *r, const char *command);
void host_text(struct buf *out, const struct host *h, bool with_port);

#endif
