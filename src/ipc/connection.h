/*
 * One kept connection, seen alike from both ends: it reads frames and gives them to its
 * exchanges, collects frames to be written at the end of the loop turn, and is lost as a
 * whole. What differs between the ends is in struct connection_role. Internal to src/ipc.
 *
 * Lifetime: the owner (client or server) holds one reference until `lost` was called,
 * each exchange holds one; so x->connection is valid as long as x is.
 */
#ifndef IPC_CONNECTION_H
#define IPC_CONNECTION_H

#include "base/buf.h"
#include "base/list.h"
#include "ipc/ipc.h"
#include "ipc/packet.h"
#include "ipc/wire.h"
#include "run/fiber.h"

#define CONNECTION_BUCKETS 64u /* power of two */

struct connection;

struct connection_role {
	bool is_server;
	/* The peer's hello; false refuses the connection. */
	bool (*hello)(struct connection *c, const struct wire_hello *h);
	/* Server: the first message of a new exchange has come. */
	void (*opened)(struct connection *c, struct ipc_exchange *x);
	/* The exchange is no longer open: ended, cancelled, or its connection lost. */
	void (*over)(struct connection *c, struct ipc_exchange *x);
	/* Client: frames on exchange 0; c->grant is set already. */
	void (*goaway)(struct connection *c, uint32_t last);
	void (*granted)(struct connection *c);
	/* The connection is gone; called once. error 0: closed on purpose. */
	void (*lost)(struct connection *c, int error);
	/* No reference is left. */
	void (*destroyed)(struct connection *c);
};

struct connection {
	const struct connection_role *role;
	void *owner;
	void *state; /* ipc_connection_state */
	struct list_link in_owner;
	struct list_link dirty; /* frames wait in `out` */
	uint64_t id;
	int fd;
	unsigned references;
	struct run_watch *watch;
	struct buf out;
	size_t out_sent;
	struct buf partial;       /* the beginning of a frame */
	const char *name;         /* of the service, for log lines; the owner's */
	int64_t born, idle_since; /* clock_ms */
	uint32_t grant;           /* exchanges that may be open at once */
	uint32_t window;          /* bytes of an exchange under way, each direction */
	uint32_t next_number;     /* of the next new exchange */
	uint32_t goaway_last;     /* server: the last that it handles */
	uint32_t open_count;
	bool hello_seen, going_away, closing, dead, writing, paused;
	bool fresh; /* server: its first exchange is still expected */
	pid_t peer; /* server with a single place: the client; 0: not known */
	struct ipc_exchange *table[CONNECTION_BUCKETS];
};

struct ipc_exchange {
	struct connection *connection;
	struct ipc_exchange *next;     /* in its bucket, or in the pool */
	struct list_link link;         /* server: waits for a free place */
	struct list_link packets;      /* received, not yet taken */
	struct packet *current;        /* lent to the caller of ipc_receive */
	struct fiber *reader, *writer; /* asleep in ipc_receive, ipc_send */
	uint32_t number;               /* 0: nothing sent yet */
	int error;                     /* 0, or why it ended early */
	int64_t send_credit;           /* bytes; the last frame may overdraw it */
	int64_t received;              /* cost not yet credited back */
	int64_t consumed;              /* part of `received` that was taken */
	bool open;                     /* counts in connection->open_count */
	bool held;                     /* a fiber, or the server's waiting list, has it */
	bool sent_end, got_end, unseen;
};

/* Takes the descriptor (non-blocking). */
struct connection *connection_new(
    int fd, const struct connection_role *role, void *owner);
void connection_release(struct connection *c);
/* Appends to what goes out at the end of the turn; nothing when the connection is dead.
 */
void connection_send(struct connection *c, const struct wire_frame *f);
void connection_send_hello(struct connection *c, const struct wire_hello *h);
void connection_send_number(
    struct connection *c, enum wire_kind kind, uint32_t exchange, uint32_t number);
/* Ends it now: exchanges fail, `lost` is called. */
void connection_lost(struct connection *c, int error);
/* Ends it when all frames are written. */
void connection_close(struct connection *c);
/* The peer broke the rules: says so in the log and ends it. */
void connection_refuse(struct connection *c, const char *reason);

/* --- exchange.c --- */

/* Held, open, without number. */
struct ipc_exchange *exchange_new(struct connection *c);
/* No longer open: leaves the table; `error` for those who wait. Frees it unless held. */
void exchange_over(struct ipc_exchange *x, int error);
/* The holder lets go: cancels what is not ended. */
void exchange_drop(struct ipc_exchange *x);
/* The holder lets go of an exchange whose answer nobody waits for. */
void exchange_abandon(struct ipc_exchange *x);
/* A frame for an exchange. 0, or -EBADMSG. */
MUST_USE int exchange_frame(struct connection *c, const struct wire_frame *f);

#endif
