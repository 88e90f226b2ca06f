#include "ipc/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/loop.h"

#define DEFAULT_CONNECTIONS 100
#define DEFAULT_IDLE_MS     5000
#define DEFAULT_TTL_MS      1000000
#define DEFAULT_TIMEOUT_MS  3600000
#define TICK_MS             1000
#define PAUSE_MS            1000 /* after a failure, before the next attempt */
#define BACKLOG_FULL_MS     50
#define ATTEMPTS            3
#define NOTES_MAX           1000

/* A fiber in ipc_open; lies on its stack. */
struct waiter {
	struct list_link link;
	struct fiber *fiber;
	uint64_t connection_id; /* 0 = any */
	struct ipc_exchange *x;
	int error;
	bool done;
};

/* An ipc_notify that waits for a connection. */
struct note {
	struct list_link link;
	uint16_t type;
	struct buf payload;
};

struct ipc_client {
	char *path, *service;
	struct ipc_client_options options;
	struct list_link connections, waiters, notes;
	size_t connection_count, connecting, waiting, note_count;
	uint32_t
	    last_grant;    /* of the last hello: how many connections the waiters need */
	unsigned failures; /* connections lost in a row before their hello */
	int64_t retry_at;
	struct run_timer *timer;
	bool timer_on, freed;
};

static void tick(void *argument);
static void serve_waiters(struct ipc_client *c);

struct ipc_client *ipc_client_new(
    const char *path, const char *service, const struct ipc_client_options *options)
{
	struct ipc_client *c = memory_alloc(sizeof(*c));
	c->path = memory_copy_cstr(path);
	c->service = memory_copy_cstr(service);
	if (options != NULL)
		c->options = *options;
	if (c->options.connections == 0)
		c->options.connections = DEFAULT_CONNECTIONS;
	if (c->options.idle_ms == 0)
		c->options.idle_ms = DEFAULT_IDLE_MS;
	if (c->options.ttl_ms == 0)
		c->options.ttl_ms = DEFAULT_TTL_MS;
	if (c->options.timeout_ms == 0)
		c->options.timeout_ms = DEFAULT_TIMEOUT_MS;
	list_init(&c->connections);
	list_init(&c->waiters);
	list_init(&c->notes);
	c->timer = run_timer_new(tick, c);
	return c;
}

int64_t ipc_client_deadline(const struct ipc_client *c)
{
	return deadline_after_ms(c->options.timeout_ms);
}

static void drop_notes(struct ipc_client *c)
{
	struct note *n, *after;
	LIST_FOREACH_SAFE (n, after, &c->notes, struct note, link) {
		list_remove(&n->link);
		buf_free(&n->payload);
		free(n);
	}
	c->note_count = 0;
}

static void finish_waiter(
    struct ipc_client *c, struct waiter *w, struct ipc_exchange *x, int error)
{
	list_remove(&w->link);
	if (w->connection_id == 0)
		c->waiting--;
	w->x = x;
	w->error = error;
	w->done = true;
	fiber_wake(w->fiber);
}

static void fail_waiters(struct ipc_client *c, int error)
{
	struct waiter *w, *after;
	LIST_FOREACH_SAFE (w, after, &c->waiters, struct waiter, link) {
		if (w->connection_id == 0)
			finish_waiter(c, w, NULL, error);
	}
	drop_notes(c);
}

void ipc_client_free(struct ipc_client *c)
{
	if (c == NULL)
		return;
	c->freed = true;
	while (!list_empty(&c->connections))
		connection_lost(
		    LIST_FIRST(&c->connections, struct connection, in_owner), -ECANCELED);
	struct waiter *w, *after;
	LIST_FOREACH_SAFE (w, after, &c->waiters, struct waiter, link)
		finish_waiter(c, w, NULL, -ECANCELED);
	drop_notes(c);
	run_timer_free(c->timer);
	free(c->path);
	free(c->service);
	free(c);
}

/* --- which connection --- */

static uint32_t free_credit(
    const struct ipc_client *c, const struct connection *k, int64_t now)
{
	if (!k->hello_seen || k->going_away || k->closing || k->dead ||
	    k->next_number >= WIRE_GOAWAY_ALL - k->open_count - 1 ||
	    k->open_count >= k->grant || now - k->born >= c->options.ttl_ms)
		return 0;
	return k->grant - k->open_count;
}

static struct connection *most_free(struct ipc_client *c)
{
	int64_t now = clock_ms();
	struct connection *k, *best = NULL;
	uint32_t most = 0;
	LIST_FOREACH (k, &c->connections, struct connection, in_owner) {
		uint32_t credit = free_credit(c, k, now);
		if (credit > most) {
			most = credit;
			best = k;
		}
	}
	return best;
}

static struct connection *by_id(struct ipc_client *c, uint64_t id)
{
	struct connection *k;
	LIST_FOREACH (k, &c->connections, struct connection, in_owner)
		if (k->id == id && !k->going_away && !k->closing && !k->dead)
			return k;
	return NULL;
}

/* True when credit may come back on a connection that is there. */
static bool may_come(struct ipc_client *c)
{
	struct connection *k;
	LIST_FOREACH (k, &c->connections, struct connection, in_owner)
		if (k->hello_seen && !k->going_away && !k->closing && !k->dead)
			return true;
	return false;
}

/* --- connecting --- */

static void set_timer(struct ipc_client *c)
{
	int64_t next = c->connection_count > 0 ? deadline_after_ms(TICK_MS) : CLOCK_NEVER;
	if (c->retry_at != 0)
		next = deadline_earlier(next, c->retry_at);
	c->timer_on = next != CLOCK_NEVER;
	run_timer_set(c->timer, next);
}

static int connect_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!str_to_cstr(str_of(path), address.sun_path, sizeof(address.sun_path)))
		return -ENAMETOOLONG;
	int fault = fault_hit(FAULT_CONNECT);
	if (fault != 0)
		return -fault;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = -errno;
	(void)close(fd);
	return error;
}

static const struct connection_role client_role;

static int connect_one(struct ipc_client *c)
{
	int fd = connect_socket(c->path);
	if (fd < 0)
		return fd;
	struct connection *k = connection_new(fd, &client_role, c);
	k->name = c->path;
	list_append(&c->connections, &k->in_owner);
	c->connection_count++;
	c->connecting++;
	struct wire_hello hello = {.service = str_of(c->service)};
	connection_send_hello(k, &hello);
	if (!c->timer_on)
		set_timer(c);
	return 0;
}

static void retry_later(struct ipc_client *c, int64_t pause_ms)
{
	c->retry_at = deadline_after_ms(pause_ms);
	set_timer(c);
}

/* As many connections under way as the waiters need. */
static void grow(struct ipc_client *c)
{
	size_t wanted = c->waiting + (c->note_count > 0 ? 1 : 0);
	if (wanted == 0 || c->freed || (c->retry_at != 0 && clock_ms() < c->retry_at))
		return;
	c->retry_at = 0;
	if (c->last_grant == 0)
		wanted = 1;
	else
		wanted = (wanted + c->last_grant - 1) / c->last_grant;
	while (c->connecting < wanted && c->connection_count < c->options.connections) {
		int result = connect_one(c);
		if (result == 0)
			continue;
		if (result == -EAGAIN) /* so many wait there already */
			retry_later(c, BACKLOG_FULL_MS);
		else if (may_come(c))
			retry_later(c, PAUSE_MS);
		else
			fail_waiters(c, result);
		return;
	}
}

static void tick(void *argument)
{
	struct ipc_client *c = argument;
	int64_t now = clock_ms();
	struct connection *k, *after;
	if (now >= c->retry_at) /* even if nobody waits any more */
		c->retry_at = 0;
	LIST_FOREACH_SAFE (k, after, &c->connections, struct connection, in_owner) {
		if (!k->hello_seen) {
			if (c->waiting == 0 && now - k->born >= WIRE_HELLO_WAIT_MS)
				connection_lost(k, 0);
		} else if (k->open_count == 0 &&
		    (now - k->idle_since >= c->options.idle_ms ||
			now - k->born >= c->options.ttl_ms)) {
			connection_close(k);
		}
	}
	grow(c);
	set_timer(c);
}

/* --- what a connection tells --- */

static void send_notes(struct ipc_client *c)
{
	while (!list_empty(&c->notes)) {
		struct connection *k = most_free(c);
		if (k == NULL)
			return;
		struct note *n = LIST_FIRST(&c->notes, struct note, link);
		struct ipc_exchange *x = exchange_new(k);
		int result = ipc_send(x, n->type, buf_str(&n->payload), IPC_LAST, 0);
		ENSURE(result == 0); /* a new exchange has its whole window */
		exchange_abandon(x);
		list_remove(&n->link);
		buf_free(&n->payload);
		free(n);
		c->note_count--;
	}
}

static void serve_waiters(struct ipc_client *c)
{
	struct waiter *w, *after;
	bool any_left = true;
	LIST_FOREACH_SAFE (w, after, &c->waiters, struct waiter, link) {
		struct connection *k = NULL;
		if (w->connection_id != 0) {
			k = by_id(c, w->connection_id);
			if (k == NULL)
				finish_waiter(c, w, NULL, -ECONNRESET);
			else if (k->open_count >= k->grant)
				k = NULL;
		} else if (any_left) {
			k = most_free(c);
			any_left = k != NULL;
		}
		if (k != NULL)
			finish_waiter(c, w, exchange_new(k), 0);
	}
	send_notes(c);
	grow(c);
}

static bool client_hello(struct connection *k, const struct wire_hello *h)
{
	struct ipc_client *c = k->owner;
	if (!str_is(h->service, c->service) || h->exchanges == 0 ||
	    h->exchanges > WIRE_EXCHANGES_MAX || h->window < WIRE_WINDOW_MIN ||
	    h->window > WIRE_WINDOW_MAX)
		return false;
	k->grant = h->exchanges;
	k->window = h->window;
	k->hello_seen = true;
	k->idle_since = clock_ms();
	c->last_grant = h->exchanges;
	c->connecting--;
	c->failures = 0;
	serve_waiters(c);
	return true;
}

static void client_over(struct connection *k, UNUSED struct ipc_exchange *x)
{
	if (k->dead)
		return;
	if (k->going_away && k->open_count == 0)
		connection_close(k);
	serve_waiters(k->owner);
}

/* Exchanges above `last` were not seen there: nothing was done, they may be repeated. */
static void end_unseen(struct connection *k, uint32_t last)
{
	for (size_t i = 0; i < CONNECTION_BUCKETS; i++) {
		struct ipc_exchange *x = k->table[i];
		while (x != NULL) {
			struct ipc_exchange *next = x->next;
			if (x->number > last) {
				x->unseen = true;
				exchange_over(x, -ECONNRESET);
			}
			x = next;
		}
	}
}

static void client_goaway(struct connection *k, uint32_t last)
{
	k->going_away = true;
	k->references++;
	end_unseen(k, last);
	if (k->open_count == 0)
		connection_close(k);
	serve_waiters(k->owner);
	connection_release(k);
}

static void client_granted(struct connection *k)
{
	serve_waiters(k->owner);
}

static void client_lost(struct connection *k, int error)
{
	struct ipc_client *c = k->owner;
	list_remove(&k->in_owner);
	c->connection_count--;
	if (!k->hello_seen) {
		c->connecting--;
		if (error != 0 && ++c->failures >= ATTEMPTS && !may_come(c)) {
			c->failures = 0;
			fail_waiters(c, error);
		} else if (error != 0 && !c->freed) {
			retry_later(c, PAUSE_MS);
		}
	}
	if (!c->freed)
		serve_waiters(c);
}

static void client_destroyed(UNUSED struct connection *k)
{
}

static const struct connection_role client_role = {
    .hello = client_hello,
    .over = client_over,
    .goaway = client_goaway,
    .granted = client_granted,
    .lost = client_lost,
    .destroyed = client_destroyed,
};

/* --- calls --- */

static int wait_for_exchange(
    struct ipc_client *c, uint64_t id, int64_t deadline, struct ipc_exchange **x_r)
{
	struct waiter w = {.fiber = fiber_self(), .connection_id = id};
	ENSURE(w.fiber != NULL);
	list_append(&c->waiters, &w.link);
	if (id == 0) {
		c->waiting++;
		grow(c);
	}
	while (!w.done) {
		if (fiber_sleep_until(deadline) == FIBER_TIMEOUT && !w.done) {
			list_remove(&w.link);
			if (id == 0)
				c->waiting--;
			return -ETIMEDOUT;
		}
	}
	if (w.error == 0)
		*x_r = w.x;
	return w.error;
}

int ipc_open(struct ipc_client *c, int64_t deadline, struct ipc_exchange **x_r)
{
	struct connection *k = c->waiting == 0 ? most_free(c) : NULL;
	if (k == NULL)
		return wait_for_exchange(c, 0, deadline, x_r);
	*x_r = exchange_new(k);
	return 0;
}

int ipc_open_on(struct ipc_client *c, uint64_t connection_id, int64_t deadline,
    struct ipc_exchange **x_r)
{
	struct connection *k = by_id(c, connection_id);
	if (k == NULL)
		return -ECONNRESET;
	if (k->open_count >= k->grant)
		return wait_for_exchange(c, connection_id, deadline, x_r);
	*x_r = exchange_new(k);
	return 0;
}

void ipc_end(struct ipc_exchange *x)
{
	if (x != NULL)
		exchange_drop(x);
}

void ipc_notify(struct ipc_client *c, uint16_t type, struct str payload)
{
	struct note *n;
	LIST_FOREACH (n, &c->notes, struct note, link)
		if (n->type == type && str_equal(buf_str(&n->payload), payload))
			return;
	if (c->note_count >= NOTES_MAX || payload.len > WIRE_PAYLOAD_MAX)
		return;
	n = memory_alloc(sizeof(*n));
	n->type = type;
	buf_init(&n->payload, WIRE_PAYLOAD_MAX);
	buf_add_str(&n->payload, payload);
	list_append(&c->notes, &n->link);
	c->note_count++;
	send_notes(c);
	grow(c);
}

struct call {
	uint16_t type, reply_type;
	struct str request;
	struct buf *reply;
};

static int call_once(
    struct ipc_client *c, const struct call *call, int64_t deadline, bool *unseen_r)
{
	struct ipc_exchange *x;
	int result = ipc_open(c, deadline, &x);
	if (result != 0)
		return result;
	uint16_t type;
	struct str payload;
	result = ipc_send(x, call->type, call->request, IPC_LAST, deadline);
	if (result == 0)
		result = ipc_receive(x, &type, &payload, deadline);
	if (result == -ENODATA || (result == 0 && type != call->reply_type))
		result = -EBADMSG;
	if (result == 0) {
		buf_clear(call->reply);
		buf_add_str(call->reply, payload);
		if (!buf_ok(call->reply))
			result = -EMSGSIZE;
	}
	*unseen_r = x->unseen;
	ipc_end(x);
	return result;
}

int ipc_call(struct ipc_client *c, uint16_t type, enum ipc_retry retry,
    struct str request, uint16_t reply_type, struct buf *reply, int64_t deadline)
{
	const struct call call = {type, reply_type, request, reply};
	for (unsigned attempt = 1;; attempt++) {
		bool unseen = false;
		int result = call_once(c, &call, deadline, &unseen);
		if ((result != -ECONNRESET && result != -EPIPE) || attempt == ATTEMPTS ||
		    (retry != IPC_SAFE && !unseen) ||
		    deadline_left_ms(deadline) <= PAUSE_MS)
			return result;
		if (!unseen)
			fiber_sleep_ms(PAUSE_MS);
	}
}
