/*
 * The frame of a delivery agent: reads the request strictly, opens and locks the queue
 * file, hands it to the agent's own function, collects the outcome per recipient, and
 * makes it true in the right order:
 *
 *	delivered: what was written is synced (by the agent)  -> log line -> mark
 *	bounced:   entry in the bounce log, synced            -> log line -> mark
 *	deferred:  entry in the defer log                     -> log line, no mark
 *
 * Entries of one request share one append and sync; marks come last. A failed append
 * leaves the recipient for the next attempt.
 */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

#include "ipc/ipc.h"
#include "mail/log_lines.h"
#include "mail/why.h"
#include "message/delivery.h"
#include "queue/queue_file.h"

enum delivery_outcome_kind { DELIVERY_PENDING, DELIVERY_SENT, DELIVERY_BOUNCED, DELIVERY_DEFERRED };

struct delivery_rcpt {
	const struct delivery_recipient *request;
	enum delivery_outcome_kind outcome;
};

struct delivery {
	struct delivery_request request;
	struct queue_file file;
	struct queue_envelope envelope;
	struct arena *arena; /* everything above; for the agent too */
	struct delivery_rcpt *recipients;
	size_t count;
	int64_t started, connected; /* wall microseconds; the agent sets `connected` */
	struct str relay_name;	    /* shown when the agent gives none: "local", "virtual" */
	struct why hop;		    /* set: the destination as a whole failed */
	struct delivery_state *state; /* private */
};

struct delivery_agent {
	const char *relay; /* default of relay= */
	/* Sets an outcome for every recipient; what is left PENDING is deferred with 4.3.0. */
	void (*deliver)(struct delivery *d);
};

/* From service.exchange of an agent: one whole delivery exchange. */
void delivery_serve(const struct delivery_agent *agent, struct ipc_exchange *x);

/* Called once at start: clients of bounce, defer, trace; parameters from common. */
void delivery_open_clients(void);

/* Outcomes. `text` is what the log shows in (...). `relay` may be empty. */
void delivery_sent(struct delivery *d, size_t index, struct str relay, unsigned reused,
    const char *status, struct str text);
/* Bounces when `why` is never, defers when later; soft_bounce turns never into later. */
void delivery_failed(struct delivery *d, size_t index, struct str relay, const struct why *why);
/* All recipients still PENDING fail with `why`. */
void delivery_failed_rest(struct delivery *d, struct str relay, const struct why *why);

#endif
