#include "ipc/connection.h"

#include <errno.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"
#include "ipc/little_endian.h"

#define POOL_MAX           256
#define REPLY_WAIT_SECONDS 100 /* for a window that the client does not open */

static struct {
	struct ipc_exchange *first;
	size_t count;
} pool;

static struct ipc_exchange **bucket(struct connection *c, uint32_t number)
{
	return &c->table[number & (CONNECTION_BUCKETS - 1)];
}

static struct ipc_exchange *find(struct connection *c, uint32_t number)
{
	struct ipc_exchange *x = *bucket(c, number);
	while (x != NULL && x->number != number)
		x = x->next;
	return x;
}

static void enter(struct ipc_exchange *x, uint32_t number)
{
	struct ipc_exchange **head = bucket(x->connection, number);
	x->number = number;
	x->next = *head;
	*head = x;
}

static void leave(struct ipc_exchange *x)
{
	struct ipc_exchange **at = bucket(x->connection, x->number);
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->next = NULL;
}

struct ipc_exchange *exchange_new(struct connection *c)
{
	struct ipc_exchange *x = pool.first;
	if (x != NULL) {
		pool.first = x->next;
		pool.count--;
	} else {
		x = memory_alloc(sizeof(*x));
	}
	*x = (struct ipc_exchange){
	    .connection = c,
	    .send_credit = c->window,
	    .open = true,
	    .held = true,
	};
	list_init(&x->link);
	list_init(&x->packets);
	c->references++;
	c->open_count++;
	return x;
}

static void exchange_free(struct ipc_exchange *x)
{
	struct packet *p, *after;
	LIST_FOREACH_SAFE (p, after, &x->packets, struct packet, link)
		packet_free(p);
	packet_free(x->current);
	list_remove(&x->link);
	connection_release(x->connection);
	if (pool.count == POOL_MAX) {
		free(x);
		return;
	}
	x->next = pool.first;
	pool.first = x;
	pool.count++;
}

void ipc_pools_clear(void)
{
	packet_pool_clear();
	while (pool.first != NULL) {
		struct ipc_exchange *x = pool.first;
		pool.first = x->next;
		free(x);
	}
	pool.count = 0;
}

static void wake(struct fiber **sleeper)
{
	if (*sleeper == NULL)
		return;
	struct fiber *f = *sleeper;
	*sleeper = NULL;
	fiber_wake(f);
}

void exchange_over(struct ipc_exchange *x, int error)
{
	if (!x->open)
		return;
	struct connection *c = x->connection;
	x->open = false;
	if (x->number != 0)
		leave(x);
	if (x->error == 0)
		x->error = error;
	if (--c->open_count == 0)
		c->idle_since = clock_ms();
	wake(&x->reader);
	wake(&x->writer);
	c->references++;
	bool held = x->held;
	c->role->over(c, x);
	if (!held)
		exchange_free(x);
	connection_release(c);
}

static void send_cancel(struct ipc_exchange *x)
{
	struct wire_frame f = {.exchange = x->number, .kind = WIRE_CANCEL};
	connection_send(x->connection, &f);
}

void exchange_drop(struct ipc_exchange *x)
{
	if (x->open) {
		if (x->number != 0)
			send_cancel(x);
		exchange_over(x, -ECANCELED);
	}
	exchange_free(x);
}

void exchange_abandon(struct ipc_exchange *x)
{
	x->held = false;
	if (!x->open)
		exchange_free(x);
}

/* --- frames from the peer --- */

static int take_message(struct ipc_exchange *x, const struct wire_frame *f)
{
	if (x->got_end || x->received >= (int64_t)x->connection->window)
		return -EBADMSG;
	x->received += (int64_t)f->payload.len + WIRE_FRAME_COST;
	/* Nobody will read it: only its end counts. */
	if (x->held)
		list_append(&x->packets, &packet_new(f->type, f->payload)->link);
	x->got_end = (f->flags & WIRE_END) != 0;
	wake(&x->reader);
	return 0;
}

static int take_opening(struct connection *c, const struct wire_frame *f)
{
	if (!c->role->is_server || f->kind != WIRE_MESSAGE ||
	    f->exchange != c->next_number)
		return -EBADMSG;
	/* Sent before our last GOAWAY was read: the client repeats it elsewhere. */
	c->next_number++;
	if (f->exchange > c->goaway_last)
		return 0;
	if (c->open_count >= c->grant)
		return -EBADMSG;
	struct ipc_exchange *x = exchange_new(c);
	enter(x, f->exchange);
	int result = take_message(x, f);
	ENSURE(result == 0);
	c->role->opened(c, x);
	return 0;
}

int exchange_frame(struct connection *c, const struct wire_frame *f)
{
	struct ipc_exchange *x = find(c, f->exchange);
	if (x == NULL)
		return f->exchange < c->next_number ? 0 : take_opening(c, f);
	int result = 0;
	switch (f->kind) {
	case WIRE_MESSAGE:
		result = take_message(x, f);
		if (result == 0 && x->sent_end && x->got_end)
			exchange_over(x, 0);
		return result;
	case WIRE_CREDIT:
		x->send_credit += get_le32(f->payload.p);
		if (x->send_credit > (int64_t)c->window)
			return -EBADMSG;
		wake(&x->writer);
		return 0;
	default: /* CANCEL: wire_frame_read lets no other kind pass */
		exchange_over(x, -ECANCELED);
		return 0;
	}
}

/* --- calls of both ends --- */

int ipc_send(struct ipc_exchange *x, uint16_t type, struct str payload, bool last,
    int64_t deadline)
{
	ENSURE(!x->sent_end);
	if (payload.len > WIRE_PAYLOAD_MAX)
		return -EMSGSIZE;
	while (x->error == 0 && x->send_credit <= 0) {
		x->writer = fiber_self();
		enum fiber_wait result = fiber_sleep_until(deadline);
		x->writer = NULL;
		if (result == FIBER_TIMEOUT && x->error == 0 && x->send_credit <= 0)
			return -ETIMEDOUT;
	}
	/* One that has no number yet did not hear of its connection's end. */
	if (x->error == 0 && x->connection->dead) {
		x->unseen = true;
		exchange_over(x, -ECONNRESET);
		return -ECONNRESET;
	}
	if (x->error != 0)
		return x->error;
	struct connection *c = x->connection;
	if (x->number == 0)
		enter(x, c->next_number++);
	x->send_credit -= (int64_t)payload.len + WIRE_FRAME_COST;
	x->sent_end = last;
	struct wire_frame f = {
	    .exchange = x->number,
	    .kind = WIRE_MESSAGE,
	    .flags = last ? WIRE_END : 0,
	    .type = type,
	    .payload = payload,
	};
	connection_send(c, &f);
	if (x->sent_end && x->got_end)
		exchange_over(x, 0);
	return 0;
}

/* Credit goes back in large steps; what is not given back is always less than half the
 * window, so the sender is never stuck. */
static void give_credit_back(struct ipc_exchange *x, uint32_t payload_len)
{
	x->consumed += (int64_t)payload_len + WIRE_FRAME_COST;
	if (x->got_end || !x->open || x->consumed < (int64_t)x->connection->window / 2)
		return;
	connection_send_number(
	    x->connection, WIRE_CREDIT, x->number, (uint32_t)x->consumed);
	x->received -= x->consumed;
	x->consumed = 0;
}

int ipc_receive(
    struct ipc_exchange *x, uint16_t *type_r, struct str *payload_r, int64_t deadline)
{
	packet_free(x->current);
	x->current = NULL;
	while (list_empty(&x->packets)) {
		if (x->got_end)
			return -ENODATA;
		if (x->error != 0)
			return x->error;
		x->reader = fiber_self();
		enum fiber_wait result = fiber_sleep_until(deadline);
		x->reader = NULL;
		if (result == FIBER_TIMEOUT && list_empty(&x->packets) && !x->got_end &&
		    x->error == 0)
			return -ETIMEDOUT;
	}
	struct packet *p = LIST_FIRST(&x->packets, struct packet, link);
	list_remove(&p->link);
	x->current = p;
	give_credit_back(x, p->len);
	*type_r = p->type;
	*payload_r = (struct str){p->bytes, p->len};
	return 0;
}

uint64_t ipc_connection_id(const struct ipc_exchange *x)
{
	return x->connection->id;
}

void **ipc_connection_state(struct ipc_exchange *x)
{
	return &x->connection->state;
}

uint16_t ipc_opening_type(const struct ipc_exchange *x)
{
	ENSURE(!list_empty(&x->packets));
	return LIST_ENTRY(x->packets.next, struct packet, link)->type;
}

bool ipc_cancelled(const struct ipc_exchange *x)
{
	return x->error != 0;
}

int ipc_reply(struct ipc_exchange *x, uint16_t type, struct str payload)
{
	return ipc_send(
	    x, type, payload, IPC_LAST, deadline_after_seconds(REPLY_WAIT_SECONDS));
}
