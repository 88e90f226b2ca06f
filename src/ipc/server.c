#include "ipc/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/loop.h"
#include "run/wait.h"

#define TICK_MS             1000
#define FRESH_MS            1000  /* a new connection without exchange keeps its place */
#define HOLD_MS             5     /* the only place stays for who used it last */
#define DRAIN_WAIT_MS       10000 /* for clients that keep an idle connection */
#define DEFAULT_CONNECTIONS 1000

struct listener {
	struct list_link link;
	struct ipc_server *server;
	int fd;
	struct run_watch *watch;
	bool off; /* a client came while the server was full */
};

struct ipc_server {
	struct ipc_server_options options;
	char *name;
	struct list_link listeners, connections;
	struct list_link waiting; /* exchanges without a fiber yet, in order of arrival */
	size_t connection_count, running, waiting_count, fresh;
	struct run_timer *timer, *hold_timer;
	int64_t accept_again; /* after a failed accept; 0 = now */
	bool full, held, retired, drained, timer_on;
};

static const struct connection_role server_role;
static void update(struct ipc_server *s);

static void set_timer(struct ipc_server *s)
{
	s->timer_on = s->connection_count > 0 || s->accept_again != 0;
	run_timer_set(s->timer, s->timer_on ? deadline_after_ms(TICK_MS) : CLOCK_NEVER);
}

/* --- exchanges --- */

/*
 * With a single place: a client with more to say opens connections while it waits for
 * this one. Were they accepted in the moment between two exchanges, the client would take
 * them for places, and its exchanges would wait here while another process could start.
 */
static void hold(struct ipc_server *s)
{
	if (s->options.client_limit > 1)
		return;
	s->held = true;
	run_timer_set(s->hold_timer, deadline_after_ms(HOLD_MS));
}

static void let_go(void *argument)
{
	struct ipc_server *s = argument;
	s->held = false;
	update(s);
}

static void serve_exchange(void *argument)
{
	struct ipc_exchange *x = argument;
	struct ipc_server *s = x->connection->owner;
	s->options.handler(x);
	exchange_drop(x);
	s->running--;
	hold(s);
	if (s->options.exchange_done != NULL)
		s->options.exchange_done();
	update(s);
}

static void start_exchange(struct ipc_server *s, struct ipc_exchange *x)
{
	s->running++;
	int result = fiber_start(s->name, serve_exchange, x);
	if (result != 0) {
		log_warning(
		    "%s: cannot serve an exchange: %s", s->name, strerror(-result));
		s->running--;
		exchange_drop(x);
	}
}

static void start_waiting(struct ipc_server *s)
{
	while (s->running < s->options.client_limit && !list_empty(&s->waiting)) {
		struct ipc_exchange *x =
		    LIST_FIRST(&s->waiting, struct ipc_exchange, link);
		list_remove(&x->link);
		s->waiting_count--;
		start_exchange(s, x);
	}
}

/*
 * A connection is opened for an exchange that follows at once. Until then it holds one of
 * the places, or else a service with a single place would take in the connections of ten
 * clients, who then wait for each other while other processes are free.
 */
static void set_fresh(struct connection *c, bool fresh)
{
	struct ipc_server *s = c->owner;
	if (c->fresh == fresh)
		return;
	c->fresh = fresh;
	if (fresh)
		s->fresh++;
	else
		s->fresh--;
}

static void server_opened(struct connection *c, struct ipc_exchange *x)
{
	struct ipc_server *s = c->owner;
	set_fresh(c, false);
	list_append(&s->waiting, &x->link);
	s->waiting_count++;
	update(s);
}

/* A request that is complete is served though its sender left: nobody may wait for the
 * answer of a wakeup. Others, still waiting, are dropped. */
static void server_over(struct connection *c, struct ipc_exchange *x)
{
	struct ipc_server *s = c->owner;
	if (list_empty(&x->link) || (x->got_end && x->error != -ECANCELED))
		return;
	list_remove(&x->link);
	s->waiting_count--;
	exchange_drop(x);
}

/* --- connections --- */

static bool server_hello(struct connection *c, const struct wire_hello *h)
{
	const struct ipc_server *s = c->owner;
	return str_is(h->service, s->name) && h->exchanges == 0 && h->window == 0;
}

static pid_t peer_of(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

/* A second connection to a single place serves its client badly: an exchange on it waits
 * for the one on the first, though another process may be free. */
static bool is_second(const struct ipc_server *s, pid_t peer)
{
	const struct connection *k;
	if (s->options.client_limit > 1 || peer == 0)
		return false;
	LIST_FOREACH (k, &s->connections, struct connection, in_owner)
		if (k->peer == peer && !k->closing)
			return true;
	return false;
}

void ipc_server_add(struct ipc_server *s, int fd)
{
	pid_t peer = s->options.client_limit > 1 ? 0 : peer_of(fd);
	bool second = is_second(s, peer);
	struct connection *c = connection_new(fd, &server_role, s);
	c->peer = peer;
	c->name = s->name;
	c->grant = s->options.client_limit;
	c->window = s->options.window;
	list_append(&s->connections, &c->in_owner);
	s->connection_count++;
	set_fresh(c, true);
	struct wire_hello hello = {
	    .service = str_of(s->name),
	    .exchanges = c->grant,
	    .window = c->window,
	};
	connection_send_hello(c, &hello);
	if (s->retired || second)
		connection_send_number(c, WIRE_GOAWAY, 0, WIRE_GOAWAY_ALL);
	if (!s->timer_on)
		set_timer(s);
	update(s);
}

static void server_lost(struct connection *c, UNUSED int error)
{
	struct ipc_server *s = c->owner;
	list_remove(&c->in_owner);
	s->connection_count--;
	set_fresh(c, false);
	update(s);
}

static void server_destroyed(struct connection *c)
{
	struct ipc_server *s = c->owner;
	if (c->state != NULL && s->options.connection_closed != NULL)
		s->options.connection_closed(c->state);
}

static const struct connection_role server_role = {
    .is_server = true,
    .hello = server_hello,
    .opened = server_opened,
    .over = server_over,
    .lost = server_lost,
    .destroyed = server_destroyed,
};

/* The client has nothing open and does not close: what it sends from now on is not seen.
 */
static void close_drained(struct connection *c)
{
	c->goaway_last = c->next_number - 1;
	connection_send_number(c, WIRE_GOAWAY, 0, c->goaway_last);
	connection_close(c);
}

static void tick(void *argument)
{
	struct ipc_server *s = argument;
	int64_t now = clock_ms();
	if (s->accept_again != 0 && now >= s->accept_again)
		s->accept_again = 0;
	struct connection *c, *after;
	LIST_FOREACH_SAFE (c, after, &s->connections, struct connection, in_owner) {
		if (now - c->born >= FRESH_MS)
			set_fresh(c, false);
		if (!c->hello_seen) {
			if (now - c->born >= WIRE_HELLO_WAIT_MS)
				connection_refuse(c, "no hello from the client");
		} else if (s->retired && !c->closing && c->open_count == 0 &&
		    now - c->idle_since >= DRAIN_WAIT_MS) {
			close_drained(c);
		}
	}
	update(s);
	set_timer(s);
}

/* --- listening --- */

static void accept_one(void *argument)
{
	struct listener *l = argument;
	struct ipc_server *s = l->server;
	/* Switched off only now: a server that is full for a moment, as one with a single
	 * place is all the time, does not pay for it. */
	if (s->full || s->accept_again != 0) {
		run_watch_on_readable(l->watch, NULL, NULL);
		l->off = true;
		return;
	}
	if (s->options.may_accept != NULL && !s->options.may_accept())
		return;
	int fault = fault_hit(FAULT_ACCEPT);
	int fd =
	    fault != 0 ? -1 : accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int error = fault != 0 ? fault : errno;
	if (fd >= 0) {
		ipc_server_add(s, fd);
		return;
	}
	/* Another process of the service was quicker, or the client left again. */
	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return;
	log_warning("%s: accept: %s", s->name, strerror(error));
	s->accept_again = deadline_after_ms(TICK_MS);
	set_timer(s);
}

void ipc_server_listen(struct ipc_server *s, int fd)
{
	struct listener *l = memory_alloc(sizeof(*l));
	l->server = s;
	l->fd = fd;
	l->watch = run_watch_new(fd);
	list_append(&s->listeners, &l->link);
	run_watch_on_readable(l->watch, accept_one, l);
}

static void stop_listening(struct ipc_server *s)
{
	struct listener *l, *after;
	LIST_FOREACH_SAFE (l, after, &s->listeners, struct listener, link) {
		list_remove(&l->link);
		run_watch_free(l->watch);
		free(l);
	}
}

static void watch_listeners(struct ipc_server *s)
{
	if (s->full || s->accept_again != 0)
		return;
	struct listener *l;
	LIST_FOREACH (l, &s->listeners, struct listener, link) {
		if (!l->off)
			continue;
		l->off = false;
		run_watch_on_readable(l->watch, accept_one, l);
	}
}

/* After each change: who may start, who may come, and whether all is done. */
static void update(struct ipc_server *s)
{
	start_waiting(s);
	bool was_full = s->full;
	s->full = s->running + s->fresh >= s->options.client_limit || s->held ||
	    s->connection_count >= s->options.connections;
	watch_listeners(s);
	if (s->full != was_full && s->options.busy_changed != NULL)
		s->options.busy_changed(s->full);
	if (s->retired && !s->drained && s->connection_count == 0 && s->running == 0) {
		s->drained = true;
		if (s->options.drained != NULL)
			s->options.drained();
	}
}

/* --- the whole --- */

struct ipc_server *ipc_server_new(const struct ipc_server_options *options)
{
	struct ipc_server *s = memory_alloc(sizeof(*s));
	s->options = *options;
	s->name = memory_copy_cstr(options->service);
	ENSURE(strlen(s->name) <= WIRE_NAME_MAX && s->options.client_limit > 0);
	if (s->options.window == 0)
		s->options.window = WIRE_WINDOW;
	if (s->options.connections == 0)
		s->options.connections = DEFAULT_CONNECTIONS;
	list_init(&s->listeners);
	list_init(&s->connections);
	list_init(&s->waiting);
	s->timer = run_timer_new(tick, s);
	s->hold_timer = run_timer_new(let_go, s);
	return s;
}

void ipc_server_set_limit(struct ipc_server *s, uint32_t client_limit)
{
	s->options.client_limit = client_limit;
	update(s);
}

void ipc_server_retire(struct ipc_server *s)
{
	if (s->retired)
		return;
	s->retired = true;
	stop_listening(s);
	struct connection *c;
	LIST_FOREACH (c, &s->connections, struct connection, in_owner)
		connection_send_number(c, WIRE_GOAWAY, 0, WIRE_GOAWAY_ALL);
	update(s);
}

size_t ipc_server_open(const struct ipc_server *s)
{
	return s->running + s->waiting_count;
}

size_t ipc_server_connections(const struct ipc_server *s)
{
	return s->connection_count;
}

void ipc_server_free(struct ipc_server *s)
{
	if (s == NULL)
		return;
	ENSURE(s->running == 0);
	stop_listening(s);
	s->options.busy_changed = NULL;
	s->options.drained = NULL;
	while (!list_empty(&s->connections))
		connection_lost(
		    LIST_FIRST(&s->connections, struct connection, in_owner), -ECANCELED);
	run_timer_free(s->timer);
	run_timer_free(s->hold_timer);
	free(s->name);
	free(s);
}
