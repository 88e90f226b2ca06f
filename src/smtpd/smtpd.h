/*
 * The SMTP server's objects, and what its files offer each other.
 *
 *	smtpd.c                main: tables, services
 *	session.c              one client, from greeting to farewell
 *	session_command.c      whether a command gets to its handler
 *	session_reply.c        replies, what they count for, and their log lines
 *	session_address.c      addresses that are not taken as they stand
 *	session_end.c          timeout, lost connection, too many errors, the last line
 *	identity.c             who the client is
 *	origin.c               where its mail comes from
 *	command.c              the table of commands
 *	command_*.c            their handlers
 *	restriction_list.c     restriction lists, compiled at start
 *	restriction.c          and evaluated
 *	refuse.c               what a refusal says
 *	restriction_basic.c    restrictions without a table
 *	restriction_access.c   those with one: which keys are asked
 *	access_result.c        what the tables answer
 *	restriction_verify.c   those that ask verify
 *	recipient.c            where a recipient would go, and whether it exists
 *	submission.c           where the message goes: cleanup, or postdrop
 *	transcript.c           what was said, for the postmaster
 *
 * A transaction is one object; every end of it, good or bad, replaces it whole, so no
 * state survives an error reply.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "base/arena.h"
#include "client/rewrite_client.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "net/stream.h"
#include "service/service.h"
#include "smtp_wire/client_attribute.h"
#include "smtp_wire/command.h"
#include "smtp_wire/data.h"
#include "smtpd/submission.h"
#include "smtpd/transcript.h"
#include "smtpd_params.h"
#include "table/maps.h"
#include "table/match_list.h"

#define SESSION_ARENA (256 * 1024)
#define BCC_MAX       10
#define PREPEND_MAX   2048
#define TRANSACTION_ARENA \
	(4 * 1024 * 1024) /* a thousand recipients and their parameters */

struct refusal;
struct restriction_list;
struct restriction_class;

enum restriction_stage {
	STAGE_CLIENT,
	STAGE_HELO,
	STAGE_SENDER,
	STAGE_RELAY,
	STAGE_RECIPIENT,
	STAGE_DATA,
	STAGE_END_OF_DATA,
	STAGE_ETRN,
	STAGE_COUNT
};

struct smtpd_state {
	struct smtpd_params params;
	struct cleanup_client *cleanup;
	struct rewrite_client *rewrite;
	struct ipc_client *flush, *verify;
	struct match_list *mynetworks, *forbidden_commands, *bare_newline_exclusions;
	struct match_list *verp_clients, *xclient_hosts,
	    *xforward_hosts; /* NULL: nobody */
	bool *forbidden;     /* as command_rows; NULL: the list may change its mind */
	bool ipv6;           /* inet_protocols */
	struct maps *local_recipients, *relay_recipients, *virtual_aliases,
	    *virtual_mailboxes, *canonicals, *recipient_canonicals;
	struct restriction_list *restrictions[STAGE_COUNT];
	struct restriction_list *unlisted_sender, *unlisted_recipient;
	struct header_rewriting *header_rewriting;
	struct restriction_class *classes;
	size_t class_count;
	struct net_prefix *own_addresses;
	size_t own_address_count;
	uint32_t discard_keywords;
	unsigned notify; /* enum notice_class: what the postmaster wants to hear of */
	uint32_t receive_flags;        /* of cleanup, for every message */
	bool takes_unknown_recipients; /* the same: no_unknown_recipient_checks */
	enum bare_newline bare_newline;
	int64_t space;       /* free in the queue, bytes, or -errno */
	int64_t space_until; /* when to ask again, monotonic ms */
};
extern struct smtpd_state smtpd;

struct transaction {
	struct arena *arena;
	struct str sender;
	struct cleanup_recipient *recipients;
	uint32_t room; /* for as many, BCC_MAX of them kept free */
	uint32_t count, refused, overshoot;
	struct str bcc[BCC_MAX]; /* by access actions */
	size_t bcc_count;
	bool body_8bit;
	bool smtputf8; /* asked for by MAIL (RFC 6531 3.4) */
	int64_t announced_size;
	uint32_t ret;
	struct str envelope_id;
	struct str verp;             /* two delimiters, or empty */
	uint32_t cleanup_flags;      /* HOLD, DISCARD by access actions */
	struct str filter, redirect; /* by access actions */
	struct str prepend;          /* header fields by access actions, lines with LF */
	struct submission *message;  /* from the first accepted recipient on */
	struct timeval arrival;
	bool receiving; /* the text has begun */
	int64_t bytes;  /* of its complete lines, with CRLF, for the log */
};

enum session_end {
	SESSION_GOES_ON,
	SESSION_QUIT,
	SESSION_CLOSE /* without a word more */
};

struct command_count {
	unsigned good, all;
};

struct session {
	struct service_client *client;
	struct stream *stream;
	struct buf line, reply; /* the last of each */
	struct arena *arena;    /* helo and names */
	/* By the connection or by XCLIENT: "unknown" where it is not known, or, of a
	 * name, not verified. */
	struct net_address peer; /* without one when its address is not known */
	struct str name, reverse_name, address, port, server_address, server_port;
	struct str logged_address;           /* the address as RFC 5321 4.1.3 tags it */
	struct str client_text;              /* "host[addr]" */
	struct str helo;                     /* empty before HELO */
	struct str login;                    /* by XCLIENT; empty: nobody */
	struct client_attributes *forwarded; /* by XFORWARD, for one message, or NULL */
	bool esmtp;
	/* What lists that ran early put off (DEFER_IF_PERMIT), until they run again: each
	 * recipient is deferred that would be taken otherwise. NULL: nothing. */
	struct refusal *deferred[STAGE_SENDER + 1];
	bool denied; /* may not connect: hears so at each command (smtpd_delay_reject =
			no) */
	bool trusted, own; /* in mynetworks; connected from this machine itself */
	bool completes;    /* headers of its mail (local_header_rewrite_clients) */
	bool bare_newline_allowed, verp_allowed, xclient_allowed, xforward_allowed;
	bool message_ended; /* by the last command, however: a client may leave then */
	struct transaction *transaction; /* NULL outside one */
	unsigned errors, junk;
	struct transcript *transcript; /* NULL: nobody wants it */
	unsigned trouble; /* enum notice_class: what happened since the last message */
	const struct command_row *last_command; /* for log lines */
	bool command_failed;
	enum session_end end;
	const char *broken_by;        /* why it did not end well, or NULL */
	struct command_count *counts; /* as command_rows */
};

/* --- session.c --- */
void session_serve(struct service_client *client);
/* The banner, at the beginning and after XCLIENT. With smtpd_delay_reject = no it is the
 * refusal of a client that may not connect at all. */
void session_greet(struct session *s);
/* The time of what is read or written next: smtpd_timeout for each wait, or with
 * smtpd_per_request_deadline for all of it, as stream_set_limit counts. */
void session_limit(struct session *s, int64_t least_rate);
const char *session_protocol(const struct session *s); /* SMTP or ESMTP */
/* The same, or UTF8SMTP (RFC 6531 3.7.3): the word for Received. */
const char *session_transmission(const struct session *s);
/* Empty outside a transaction too: VRFY. */
struct str session_sender(const struct session *s);
struct str session_queue_id(const struct session *s); /* "" before the first recipient */

/* --- session_command.c --- */
/* smtpd_forbid_bare_newline = reject, for this client. */
bool session_forbids_bare_newline(const struct session *s);
void session_refuse_bare_newline(struct session *s);

/* --- session_reply.c --- */
/* One reply: "250 2.1.0 text"; status "" for none. */
void session_reply(struct session *s, int code, const char *status, struct str text);
/* The same that counts against the client's limits. */
void session_error(struct session *s, int code, const char *status, const char *format,
    ...) PRINTF_LIKE(4, 5);
/* The same, where it is no mistake in the protocol. */
void session_refuse(struct session *s, enum notice_class class, int code,
    const char *status, const char *format, ...) PRINTF_LIKE(5, 6);
/* One line of a reply, without its end. */
void session_line(struct session *s, struct str line);
/* A whole reply line as it stands (from a restriction). 421 and 521 close. */
void session_error_text(struct session *s, struct str reply);
/* Logs "NOQUEUE: reject: RCPT from ..." with what is known. */
void session_log_action(const struct session *s, const char *action, const char *where,
    struct str text, const struct str *recipient);

/* --- session_address.c --- */
/* International addresses (RFC 6531): a domain in UTF-8 needs SMTPUTF8, a local part does
 * with strict_smtputf8. False: refused, and said so. */
bool session_takes_address(
    struct session *s, struct str address, bool declared, const char *what);
/* The warning beside a refusal for syntax, for what stands in angle brackets only;
 * `path`: what stands behind FROM: or TO:. */
void session_log_bad_address(
    const struct session *s, const char *command, struct str path);

/* --- identity.c --- */
void identity_find(struct session *s);
/* XCLIENT: name, address and ports stay as they are where nothing else is said; HELO and
 * login are forgotten. */
void identity_assume(struct session *s, const struct client_attributes *said);

/* --- origin.c --- */
/* Borrowed from the session, the transaction and what XFORWARD said. */
struct origin {
	struct str ident, name, address, port, client, helo, protocol;
};
struct origin origin_of(const struct session *s); /* within a transaction */
/* ", sasl_method=XCLIENT, ..., orig_queue_id=..., orig_client=...": what the log says
 * behind the client; nothing for most. */
void origin_describe(const struct session *s, struct buf *out);
/* Whether the headers of the next message are completed with our domains. */
bool origin_completes(const struct session *s);
void origin_take(struct session *s, const struct client_attributes *said);
void origin_forget(struct session *s);

/* --- header_rewriting.c --- */
struct header_rewriting *header_rewriting_open(void);
bool header_rewriting_changed(const struct header_rewriting *r);
bool header_rewriting_wanted(const struct header_rewriting *r, const struct session *s);

/* --- transaction.c --- */
struct transaction *transaction_new(void);
/* Cancels what is not finished, and forgets what XFORWARD said of it. The one way a
 * transaction ends. */
void transaction_end(struct session *s);

/* --- command.c --- */
enum command_flags {
	COMMAND_PIPELINED =
	    1, /* may be followed at once by others, under ESMTP (RFC 2920) */
	COMMAND_LAST_WORD = 2,   /* what follows is never looked at: QUIT */
	COMMAND_BEGINS_ANEW = 8, /* what was said before is history */
	COMMAND_JUNK = 4,        /* counts against smtpd_junk_command_limit */
};
struct command_row {
	const char *verb, *log_name;
	void (*handle)(struct session *s, struct str arguments);
	unsigned flags;
};
extern const struct command_row command_rows[];
extern const size_t command_count;
const struct command_row *command_find(struct str verb); /* the last row when unknown */
/* Asks smtpd_forbidden_commands about those in the table, where that can be done once. */
void command_find_forbidden(void);
/* False also when it cannot be told. */
bool command_is_forbidden(const struct command_row *row, struct str verb);
/* An argument is wrong: says so, and gives false. */
bool command_refuse(struct session *s, int code, const char *status, const char *text);
/* The same of "NAME=value", or of "NAME" (value.p NULL), behind the address. */
bool command_refuse_option(struct session *s, struct str name, struct str value);

/* --- command_*.c --- */
void command_helo(struct session *s, struct str arguments);
void command_ehlo(struct session *s, struct str arguments);
void command_mail(struct session *s, struct str arguments);
void command_rcpt(struct session *s, struct str arguments);
void command_data(struct session *s, struct str arguments);
void command_rset(struct session *s, struct str arguments);
void command_noop(struct session *s, struct str arguments);
void command_vrfy(struct session *s, struct str arguments);
void command_help(struct session *s, struct str arguments);
void command_etrn(struct session *s, struct str arguments);
void command_quit(struct session *s, struct str arguments);
void command_unknown(struct session *s, struct str arguments);
void command_not_built(struct session *s, struct str arguments);
void command_no_auth(struct session *s, struct str arguments);
void command_xclient(struct session *s, struct str arguments);
void command_xforward(struct session *s, struct str arguments);

/* --- recipient.c --- */
/* 0 or -errno (the resolver did not answer). Strings live in `a`. */
MUST_USE int recipient_resolve(
    struct str sender, struct str address, struct arena *a, struct resolved *r);
/* The sender of verify's probes: other sites ask about it, and no restriction applies. */
bool recipient_is_probe_sender(struct str address);

/* --- restriction_list.c --- */
void restriction_compile_classes(void); /* before the lists that name them */
struct restriction_list *restriction_compile(const char *title, const char *text);
/* Fatal when a mistake would make this an open relay. */
void restriction_require_relay_control(void);
/* Whether a table in one of the lists or classes is not the one that was opened. Asks the
 * file system once a table. */
bool restriction_changed(void);

/* --- restriction_verify.c --- */
/* Fatal for what unverified_*_tempfail_action cannot be. */
void restriction_check_verify_actions(void);

/* --- restriction.c --- */
/* True: refused; the client was told, and it is logged. Whom `recipient` names, lists and
 * log lines can speak of. */
bool restriction_refuses(
    struct session *s, enum restriction_stage stage, const struct str *recipient);
/* The list of a command at the command, which it is with smtpd_delay_reject = no. */
bool restriction_refuses_early(struct session *s, enum restriction_stage stage);
void restriction_forget(struct session *s); /* what lists put off */
/* Client, helo, sender, relay and recipient lists in their order (smtpd_delay_reject). */
bool restriction_refuses_recipient(struct session *s, struct str recipient);
/* Client, helo and etrn lists for this domain. */
bool restriction_refuses_etrn(struct session *s, struct str domain);

#endif
