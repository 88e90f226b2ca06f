/*
 * The frame of a delivery agent: reads the request strictly, opens and locks the queue
 * file, hands it to the agent's own function, and makes the outcome of each recipient
 * true in the right order:
 *
 *	delivered: what was written is synced (by the agent)  -> log line -> mark
 *	           (with an entry in the trace log before, where a report was asked for)
 *	bounced:   entry in the bounce log, synced            -> log line -> mark
 *	deferred:  entry in the defer log                     -> log line, no mark
 *
 * Failures of one request share one append and one sync; they are made true when the
 * agent returns. A failed append leaves the recipient for the next attempt.
 */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

#include <sys/types.h>
#include "base/list.h"
#include "common_params.h"
#include "ipc/ipc.h"
#include "mail/why.h"
#include "message/delivery.h"
#include "queue/queue_file.h"

enum delivery_result {
	DELIVERY_PENDING,
	DELIVERY_SENT,
	DELIVERY_BOUNCED,
	DELIVERY_DEFERRED,
	DELIVERY_DIVIDED,  /* its parts tell (delivery_divide) */
	DELIVERY_EXPANDED, /* not an end: only what notices say (delivery_expanded) */
	DELIVERY_PASSED,   /* another agent saw to it, its log line and its mark too */
};

/* What came out and waits for its entry in the bounce, defer or trace log; strings in the
 * arena. */
struct delivery_failure {
	struct str relay, status, text, diag_type, diag_text, mta_name;
	unsigned reused; /* messages on that connection so far */
	bool soft;       /* a bounce that soft_bounce turned into a deferral */
};

struct delivery_rcpt {
	const struct delivery_recipient *request;
	enum delivery_result result;
	struct delivery_failure failure; /* when not pending */
	struct str
	    sender; /* of Return-Path and From_: the request's, or a list's owner */
	struct str delivered_to; /* of Delivered-To: its own address, or the list's */
	const char *action;      /* DELIVERY_EXPANDED: for notices */
	bool part;               /* of a recipient that was divided */
	bool owned;  /* `sender` is a list's owner, who hears of failure at once */
	bool untold; /* deferred because a log could not take what came out */
	bool left;   /* not done, though the result does not say so: the agent that it was
		      * passed to put it off, or there was no memory for a part */
};

struct delivery {
	struct list_link link; /* in those under way */
	struct delivery_request request;
	struct queue_file file;
	struct queue_envelope envelope;
	struct arena *arena; /* everything above; for the agent too */
	struct delivery_rcpt *recipients;
	size_t count; /* the request's, and behind them all parts */
	size_t room;  /* of `recipients` */
	int64_t started,
	    connected; /* wall clock, microseconds; the agent sets `connected` */
	struct str
	    peer; /* the remote server, "" for agents that are the end of the way */
	const char *success; /* what notices call success; NULL: "relayed" with a peer */
	bool passes_notify;  /* it takes over the sender's wish for notices (RFC 3461) */
	const char *relay;   /* relay= when the agent names none: "local", "virtual" */
	unsigned reused;     /* the agent's connection; kept with each failure */
	bool passed_bounced; /* DELIVERY_PASSED: what the other agent says */
	struct why hop;      /* set by the agent: the destination as a whole failed */
};

/* Once, before the jail: the tables of fast_flush_domains. */
void delivery_before_jail(const struct common_params *common);
/* Once, before the first request: how to reach bounce and defer, who owns queue files. */
void delivery_open(const struct common_params *common, uid_t queue_owner);

/*
 * Once, before the jail: a table that changes status code and text of what came out
 * (default_delivery_status_filter). Key: "5.1.1 text"; value the same. Success stays
 * success, failure failure. `title` names the parameter.
 */
void delivery_filter(const char *title, const char *maps);
bool delivery_filter_changed(void); /* for service.stale */

/*
 * One whole exchange of an agent's service. `deliver` sets a result for every recipient;
 * those it leaves PENDING are deferred with 4.3.0.
 */
void delivery_serve(
    struct ipc_exchange *x, const char *relay, void (*deliver)(struct delivery *d));

/* In a child, which inherited the queue files of all deliveries under way: closes those
 * of the others, whose locks must not outlive them. */
void delivery_leave_others(const struct delivery *d);

/* `text` is what the log shows in (...). An empty relay means the agent's own. */
void delivery_sent(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text);
/* Bounces when `why` is never, defers when it is later; soft_bounce turns never into
 * later. */
void delivery_failed(
    struct delivery *d, size_t index, struct str relay, const struct why *why);
/* The recipient has members (an alias): each outcome of theirs is one of a part. It is
 * marked when all parts are done; when one is deferred, all are tried again. */
void delivery_divide(struct delivery *d, size_t index);
/* Another part of a divided recipient, which is called `address` in log and notices. Its
 * index, or SIZE_MAX without memory; moves d->recipients. */
MUST_USE size_t delivery_part(struct delivery *d, size_t index, struct str address);
/* A part of a list that has an owner: the address that the sender gave is not named. */
void delivery_unnamed(struct delivery *d, size_t index);
/* Its members get the mail: where the sender wants to hear of success (RFC 3461 5.2.7) he
 * is told that it was "expanded", or "delivered" to a list with an owner, and not more.
 */
void delivery_expanded(struct delivery *d, size_t index, struct str address, bool owned);
/* It, or one of its parts, will be tried again, and so will all of its parts. */
MUST_USE bool delivery_is_left(const struct delivery *d, size_t index);
/* Takes back the part that was made last: there is nothing to tell of it. */
void delivery_drop_part(struct delivery *d, size_t index);
/* All recipients still PENDING fail with `why`. */
void delivery_failed_rest(struct delivery *d, struct str relay, const struct why *why);
/*
 * Before another server is tried: what was deferred so far becomes PENDING again, and is
 * logged when a server gave the reason (a relay of "none" has been logged by then).
 * False: no recipient is left to try.
 */
bool delivery_retry(struct delivery *d);

#endif
