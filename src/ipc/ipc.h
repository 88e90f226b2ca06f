/*
 * Exchanges over kept connections (doc/wire.md), in straight-line fiber code.
 *
 * Client: one struct ipc_client per service that this process talks to; it opens, shares,
 * and closes connections by itself.
 *	struct ipc_exchange *x;
 *	int error = ipc_open(client, deadline, &x);
 *	error = ipc_send(x, type, payload, IPC_LAST); ... ipc_receive(x, ...); ipc_end(x);
 * or in one call, with repetition for SAFE messages: ipc_call.
 *
 * Server: ipc_serve accepts on a listener and runs `handler` in a fiber per exchange.
 *
 * Frames written in a loop turn go out together at its end (after the log lines).
 * Results: 0 or -errno; -ETIMEDOUT at the deadline, -ECONNRESET or -EPIPE when the
 *connection went, -ECANCELED when the peer cancelled, -EBADMSG for malformed frames,
 *-ENOENT or -ECONNREFUSED when the service is not there.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "ipc/message.h"
#include "ipc/wire.h"

struct ipc_client;
struct ipc_exchange;

struct ipc_client_options {
	int64_t idle_ms;      /* ipc_idle */
	int64_t ttl_ms;       /* ipc_ttl */
	int64_t timeout_ms;   /* ipc_timeout */
	unsigned connections; /* most at once; 0 = 100 */
};

/* `path` relative to the working directory ("private/rewrite"); `service` as in hello. */
struct ipc_client *ipc_client_new(
    const char *path, const char *service, const struct ipc_client_options *options);
void ipc_client_free(struct ipc_client *c); /* cancels what is open */
/* When a caller that asks now, and has no time limit of its own, gives up. */
int64_t ipc_client_deadline(const struct ipc_client *c);

/* Waits for a connection with free credit. */
MUST_USE int ipc_open(struct ipc_client *c, int64_t deadline, struct ipc_exchange **x_r);

#define IPC_MORE false
#define IPC_LAST true
/* Waits only when the window is used up. */
MUST_USE int ipc_send(struct ipc_exchange *x, uint16_t type, struct str payload,
    bool last, int64_t deadline);
/* The next message; the payload is valid until the next call on x. -ENODATA after END. */
MUST_USE int ipc_receive(
    struct ipc_exchange *x, uint16_t *type_r, struct str *payload_r, int64_t deadline);
/* Frees; cancels when either END is missing. NULL is fine. */
void ipc_end(struct ipc_exchange *x);
/* True when both exchanges run over the same connection (same peer process). */
uint64_t ipc_connection_id(const struct ipc_exchange *x);
/* Opens an exchange on the connection of that id. -ECONNRESET when it is gone, waits for
 * credit. For services that keep something per connection (reserved queue ids). */
MUST_USE int ipc_open_on(struct ipc_client *c, uint64_t connection_id, int64_t deadline,
    struct ipc_exchange **x_r);

/* One request, one reply of the expected type. A SAFE request is repeated twice, a second
 * apart, when the connection was lost. `reply` holds the payload. */
MUST_USE int ipc_call(struct ipc_client *c, uint16_t type, enum ipc_retry retry,
    struct str request, uint16_t reply_type, struct buf *reply, int64_t deadline);

/* A message that nobody answers and that may be lost (wakeups): never waits. */
void ipc_notify(struct ipc_client *c, uint16_t type, struct str payload);

/* --- server --- */

struct ipc_server;

struct ipc_server_options {
	const char *service;
	uint32_t client_limit; /* exchanges at once over all connections; hello's grant */
	uint32_t window;       /* 0 = WIRE_WINDOW */
	size_t connections;    /* most at once, idle ones included; 0 = 1000 */
	/* In a fiber; the first message waits in x. Must not free x. */
	void (*handler)(struct ipc_exchange *x);
	/* Something kept per connection; may be NULL. Called when the connection is lost
	 * or closed and the last handler of it has returned. */
	void (*connection_closed)(void *connection_state);
	/* Full (no free credit) or not any more; the service layer tells master. */
	void (*busy_changed)(bool full);
	void (*exchange_done)(void); /* counts uses */
	/* Asked before a connection is accepted; false: leave it to another process (the
	 * callback has retired the server). May be NULL. */
	bool (*may_accept)(void);
	/* Once, after ipc_server_retire: no connection and no handler is left. */
	void (*drained)(void);
};

struct ipc_server *ipc_server_new(const struct ipc_server_options *options);
/* Listens; watches the descriptor only while credit is free. It stays the caller's, who
 * may close it after ipc_server_retire or ipc_server_free. */
void ipc_server_listen(struct ipc_server *s, int listener);
/* Serves one connection that came another way (tests, inherited). */
void ipc_server_add(struct ipc_server *s, int fd);
/* Exchanges at once from now on; hello of later connections grants as many. */
void ipc_server_set_limit(struct ipc_server *s, uint32_t client_limit);
/* GOAWAY on all connections, listeners are no longer watched; `drained` when all is over.
 */
void ipc_server_retire(struct ipc_server *s);
size_t ipc_server_open(const struct ipc_server *s); /* exchanges under way or waiting */
size_t ipc_server_connections(const struct ipc_server *s);
void ipc_server_free(struct ipc_server *s); /* no handler may be running */

/* Type of the message that opened the exchange: for handlers, before the first receive.
 */
uint16_t ipc_opening_type(const struct ipc_exchange *x);
/* For handlers: a slot kept with the connection; set by the first handler that needs it.
 */
void **ipc_connection_state(struct ipc_exchange *x);
/* Reply shorthand: sends with END. */
MUST_USE int ipc_reply(struct ipc_exchange *x, uint16_t type, struct str payload);
/* The client cancelled or its connection went: a long handler may look. */
bool ipc_cancelled(const struct ipc_exchange *x);

/* Writes all frames that wait, now (before exit), as far as the sockets take them. */
void ipc_flush(void);
/* Gives pooled memory back (tests, so that leaks show). */
void ipc_pools_clear(void);

#endif
