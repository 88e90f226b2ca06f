/*
 * Single restrictions (postconf(5) smtpd_*_restrictions, access(5)). A row names one; its
 * function looks at the session and gives a verdict; with VERDICT_REJECT it has filled
 * the refusal.
 */
#ifndef SMTPD_RESTRICTION_H
#define SMTPD_RESTRICTION_H

#include "smtpd/smtpd.h"

#define RESTRICTION_NESTING 100
#define REFUSAL_MAX         (ADDRESS_MAX + 4096)

enum verdict { VERDICT_DUNNO, VERDICT_OK, VERDICT_REJECT };

struct refusal {
	int code;
	enum notice_class class; /* what the postmaster would call it */
	char status[DSN_STATUS_MAX];
	struct buf
	    text; /* after the enhanced code: "<x>: Recipient address rejected: ..." */
};

struct restriction {
	const struct restriction_row *row;   /* NULL: there is none of that name */
	struct str argument;                 /* "type:table", or a number */
	struct table *table;                 /* for rows with a table */
	const struct restriction_list *list; /* of a class (smtpd_restriction_classes) */
	bool warn_if_reject;
};

struct restriction_list {
	struct restriction *items;
	size_t count;
};

struct evaluation {
	struct session *session;
	enum restriction_stage stage;
	const struct str *recipient; /* NULL before RCPT */
	const struct str *etrn;      /* its domain; NULL but in ETRN */
	struct refusal refusal;
	struct buf malformed; /* the refusal is about this address's syntax */
	bool defer_if_permit, defer_if_reject;
	struct refusal deferred;        /* what defer_if_permit will say */
	struct refusal deferred_reject; /* what a refusal becomes by defer_if_reject */
	unsigned depth;
};

enum restriction_needs {
	NEEDS_NOTHING,
	NEEDS_HELO,
	NEEDS_SENDER,
	NEEDS_RECIPIENT,
	NEEDS_ETRN
};

struct restriction_row {
	const char *name;
	enum verdict (*check)(struct evaluation *e, const struct restriction *r);
	enum restriction_needs needs;
	bool has_table;
	bool controls_relay; /* counts as protection against being an open relay */
};

/* --- restriction_basic.c, restriction_access.c, restriction_verify.c --- */
extern const struct restriction_row restriction_basic_rows[];
extern const size_t restriction_basic_count;
extern const struct restriction_row restriction_access_rows[];
extern const size_t restriction_access_count;
extern const struct restriction_row restriction_verify_rows[];
extern const size_t restriction_verify_count;

/* --- restriction_list.c --- */
/* The row, or the class, of that name; the name is its argument. */
struct restriction restriction_named(struct str name);

/* --- refuse.c --- */
/* Fills the refusal and gives VERDICT_REJECT. */
enum verdict refuse(struct evaluation *e, int64_t code, const char *status,
    const char *format, ...) PRINTF_LIKE(4, 5);
void refuse_keep(struct refusal *kept, const struct refusal *now);
/* What was refused just now is only said when all lists would let it pass
 * (defer_if_permit); the first counts. */
void refuse_if_permit(struct evaluation *e);
/* "<x>: Sender address rejected: " for what a stage is about. */
void refuse_subject(
    const struct evaluation *e, enum restriction_needs about, struct buf *out);

/* --- restriction.c --- */
/* The command that is being judged, for log lines: "RCPT", "END-OF-MESSAGE". */
const char *restriction_stage_word(const struct evaluation *e);

/* Runs "permit, reject ..." given as the result of a table (access(5)). */
enum verdict restriction_run_text(struct evaluation *e, struct str text);
/* Runs a compiled list within an evaluation. */
enum verdict restriction_run_list(
    struct evaluation *e, const struct restriction_list *list);

/* --- recipient.c --- */
/* Refuses what the tables of its class do not know, where it has such. */
enum verdict recipient_check_listed(
    struct evaluation *e, struct str address, const struct resolved *r);
/* Nobody knows where it goes. */
enum verdict recipient_try_later(struct evaluation *e, struct str address);

/* --- access_result.c --- */
/* What the access table of `r` says (access(5)) of `key`, which is a key for `about`. */
enum verdict access_result_take(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key, struct str result);
/* It cannot say anything. */
enum verdict access_result_trouble(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key);

#endif
