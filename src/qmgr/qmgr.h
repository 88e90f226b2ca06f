/*
 * qmgr's objects. A message in the active queue has entries; an entry is some of its
 * recipients for one destination; a destination (transport and next hop) has a window of
 * deliveries under way and a queue of entries.
 *
 *	intake.c       announcements and scans: which file is looked at next
 *	message.c      a file becomes active
 *	portion.c      its recipients are read in portions and resolved
 *	route.c        where a resolved recipient goes
 *	fresh.c        new mail is moved to active when it stays
 *	finish.c       all entries done: remove, defer, bounce, expire
 *	reasons.c      nobody is returned without a reason
 *	schedule.c     which delivery is next: windows, pauses, turns; no I/O, own header
 *	transport.c    transports and the parameters by their names
 *	destination.c  destinations, who is dead for how long
 *	clog.c         warnings of destinations that fill the active queue
 *	dispatch.c     entries go out to agents, outcomes come back
 *
 * Everything runs on one loop; nothing here is shared with another thread. Memory is
 * bounded by qmgr_message_active_limit; by qmgr_message_recipient_limit for what is read
 * when messages become active; by the recipient limits of transports for what is read
 * of large messages later, so that these do not keep others out.
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "client/rewrite_client.h"
#include "mail/why.h"
#include "message/qmgr.h"
#include "queue/commit_notes.h"
#include "queue/commit_pool.h"
#include "queue/commit_slots.h"
#include "qmgr/schedule.h"
#include "qmgr_params.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "service/service.h"

/* Recipients read together; lives until all entries made of it are done. */
struct portion {
	struct arena *arena; /* of this too, and of its entries */
	struct queue_recipient *recipients;
	size_t count;
	unsigned references;
	bool first; /* of its message */
};

struct message {
	char id[QUEUE_ID_MAX];
	struct arena *arena; /* of this too, and of what the envelope says */
	struct queue_envelope envelope;
	const char *queue; /* where its file lies: active, or while it is new incoming or
			      a place (queue_dir.h) */
	uint64_t place;    /* the latter as a number, or 0 */
	int fd; /* at a place, perhaps: the file, to say there that it is over; or -1 */
	off_t size; /* of the file then, bytes */
	struct list_link jobs;
	struct list_link fresh;
	int64_t fresh_until;  /* monotonic ms */
	int64_t active_since; /* wall clock, microseconds */
	int64_t next_offset;  /* of recipients not read yet; -1: all read */
	unsigned entries;     /* waiting or under way */
	size_t in_memory;     /* recipients of these */
	uint64_t read;        /* recipients of all portions so far */
	int64_t read_at;      /* when the last portion was read, monotonic ms */
	bool reading;         /* a fiber reads the next portion */
	bool left;            /* some recipient must be tried again */
	bool bounced;         /* there may be a bounce log */
	bool reported;        /* what was asked for with trace_flags */
	bool old;             /* was deferred before */
	bool expire_now;      /* forced by the administrator */
	bool unthrottle;      /* he wants it tried whoever seems dead */
	uint32_t flags;       /* enum delivery_flags of all its requests */
};

/* Of recipients in memory, of one transport. */
struct memory_limits {
	int64_t limit, extra;    /* the latter: for messages that overtake others */
	int64_t refill;          /* so many are read together */
	int64_t refill_delay_ms; /* fewer, when the last time was as long ago */
};

struct transport {
	struct schedule_transport schedule;
	char *name;
	struct ipc_client *agent;
	int64_t recipient_limit; /* of one delivery; 0: none */
	struct memory_limits memory;
	size_t in_memory; /* recipients */
	struct map *destinations;
	struct run_timer *pause; /* NULL: it has no rate delays */
	int64_t dead_until;      /* monotonic ms, 0: alive */
	char *dead_reason;
};

struct destination {
	struct schedule_destination schedule;
	struct transport *transport;
	char *nexthop,
	    *key; /* the key is the recipient where each is a destination of its own */
	struct entry *last;        /* of those that wait, the one made last, or NULL */
	char *dead_reason;         /* "4.4.1 connect to ..." */
	int64_t clog_warned_until; /* monotonic ms */
};

/* What one message has for one transport; in the arena of the message. */
struct job {
	struct schedule_job schedule;
	struct transport *transport;
	struct list_link link;
};

struct entry {
	struct schedule_entry schedule;
	struct message *message;
	struct destination *destination;
	struct portion *portion;
	struct delivery_recipient *recipients; /* in the portion's arena */
	uint32_t count, allocated, room;
	size_t bytes; /* that the recipients take in a request */
};

struct qmgr_state {
	struct qmgr_params params;
	uid_t queue_owner;
	int64_t logs_before; /* older mail may have logs of an earlier attempt */
	struct rewrite_client *rewrite;
	struct ipc_client *bounce, *defer, *trace, *verify;
	struct commit_notes *notes; /* NULL without commit log */
	struct commit_pool *pool;   /* where finished files go */
	struct map *messages;       /* active, by id */
	size_t old_messages;        /* of these, from deferred */
	size_t recipients;          /* in memory, of all first portions */
	size_t probes;              /* of the messages, those that verify waits for */
	struct map *transports;     /* by name */
};
extern struct qmgr_state qmgr;

/* --- intake.c --- */
/* Announcements and triggers may come from then on; they are kept until the start. */
void intake_prepare(void);
void intake_start(void);
void intake_announce(const struct commit_message *m, bool late);
/* Soon: somebody who announced mail may have died and left some. */
void intake_look_for_orphans(void);
void intake_trigger(uint32_t flags);
uint32_t intake_backlog(void);
/* There is room for another message, or something else changed that intake waits for. */
void intake_wake(void);
/* A file that is busy elsewhere: looked at again in some seconds. */
void intake_again_soon(void);
/* A file of incoming or active stayed where it was, because a call failed: looked after
 * with the next run of the deferred queue. */
void intake_left_lying(void);

/* --- message.c --- */
/* In a fiber: makes the file active and reads its first recipients. False: nothing became
 * active. */
bool message_activate(const char *queue, const struct commit_message *c);
/* After an entry is done: refill or finish. */
void message_entry_done(struct message *m);
void message_close(struct message *m); /* the file, which got a name or is over */
void message_free(struct message *m);

/* --- portion.c --- */
/* In a fiber: reads recipients, as many as the limits allow, and sends them their way. */
void portion_take(struct message *m, struct queue_file *f);
/* Starts a fiber that reads more, when it is time for that. */
void portion_refill(struct message *m);
/* So many recipients of this portion are not in memory any more. */
void portion_recipients_done(struct message *m, const struct portion *p, size_t count);
/* One reference less; the last one frees it. */
void portion_forget(struct portion *p);

/* --- route.c --- */
/* The service that only tells why a delivery has to wait. */
#define RETRY_TRANSPORT "retry"
/* Adds recipient number `index` of the portion to what waits for its destination. The
 * answer of the resolver is changed. */
void route_recipient(
    struct message *m, struct portion *p, size_t index, struct resolved *to);

/* --- fresh.c --- */
void fresh_prepare(void);
/* Its file is in incoming or has no name, and goes to active when it stays. */
void fresh_add(struct message *m);
/* At once. */
void fresh_move(struct message *m);

/* --- finish.c --- */
/* In a fiber. All recipients have had their attempt. */
void message_finish(struct message *m);

/* --- reasons.c --- */
/* In a fiber: each recipient that is not done has an entry in the message's defer log
 * afterwards, also one whose attempts never came to an end. 0 or -errno: some may have
 * none, and a notice made of the log would not speak of them. */
MUST_USE int reasons_complete(const struct message *m);

/* --- transport.c --- */
struct transport *transport_get(struct str name);
void transport_failed(struct transport *t, int error); /* -errno */
/* Why nothing can be sent through it now ("4.3.0 text"), or NULL. */
const char *transport_dead_reason(const struct transport *t);

/* --- destination.c --- */
/* The queue of entries where a recipient belongs; made when new. */
struct destination *destination_get(
    struct transport *t, struct str nexthop, struct str recipient);
/* Why nothing can be sent there now ("4.4.1 text"), or NULL. */
const char *destination_dead_reason(struct destination *d);
/* Dead from now on, for this reason of its last delivery. */
void destination_suspend(struct destination *d, const char *status, const char *text);
void destinations_forget_dead(void);
/* Frees those that were dead and are not any more. */
void destinations_sweep(void);
/* This destination and its transport are tried again at once. */
void destination_forget_dead(struct destination *d);
/* Frees it when it holds nothing worth keeping. */
void destination_release(struct destination *d);

/* --- clog.c --- */
/* After a new entry: warns when this destination has much of the active queue, once in
 * qmgr_clog_warn_time. */
void clog_warn(struct destination *d);

/* --- dispatch.c --- */
/* Adds a recipient to the entry of this message for a destination, or makes one. */
void dispatch_add(struct message *m, struct portion *p, struct destination *d,
    const struct queue_recipient *r, struct str address);
/* Sends out what has room. */
void dispatch_run(struct transport *t);

#endif
