#include "ipc/ipc_fake.h"

#include <errno.h>

enum { ECHO = 1, HANG, NOTE };

/* Waits for a condition of the other fibers, not for a time: machines are slow at times.
 */
#define UNTIL(condition)                                         \
	for (int64_t end_of_wait = SOON;                         \
	     !(condition) && deadline_left_ms(end_of_wait) > 0;) \
	fiber_sleep_ms(1)

struct end {
	struct ipc_server *server;
	unsigned running, seen, drained, notes;
};
static struct end first, second;
static struct ipc_client *client;
static bool release;

static void handle(struct end *e, struct ipc_exchange *x)
{
	uint16_t type = 0;
	struct str payload;
	e->running++;
	e->seen++;
	int result = ipc_receive(x, &type, &payload, SOON);
	if (result == 0 && type == ECHO)
		(void)!ipc_reply(x, ECHO, payload);
	else if (result == 0 && type == NOTE)
		e->notes++;
	else if (result == 0 && type == HANG)
		UNTIL(release || ipc_cancelled(x));
	if (result == 0 && type == HANG && !ipc_cancelled(x))
		(void)!ipc_reply(x, HANG, STR("late"));
	e->running--;
}

static void handle_first(struct ipc_exchange *x)
{
	handle(&first, x);
}

static void handle_second(struct ipc_exchange *x)
{
	handle(&second, x);
}

static void first_drained(void)
{
	first.drained++;
}

static void serve(
    struct end *e, struct fake_socket s, void (*handler)(struct ipc_exchange *))
{
	const struct ipc_server_options options = {
	    .service = "test",
	    .client_limit = 10,
	    .handler = handler,
	    .drained = e == &first ? first_drained : NULL,
	};
	e->server = ipc_server_new(&options);
	ipc_server_listen(e->server, s.fd);
}

static struct fake_socket begin(void)
{
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	release = false;
	run_init();
	struct fake_socket s = fake_listen();
	client = ipc_client_new(s.path, "test", NULL);
	return s;
}

static void settle(UNUSED void *argument)
{
	ipc_client_free(client);
	for (int i = 0; i < 10; i++)
		fiber_yield();
	UNTIL(first.running + second.running == 0);
	ipc_server_free(first.server);
	ipc_server_free(second.server);
	for (int i = 0; i < 5; i++)
		fiber_yield();
}

static void end(struct fake_socket s)
{
	run_main(settle, NULL);
	(void)close(s.fd);
	ipc_pools_clear();
}

/* Lets seconds pass in a few turns of the loop. */
static bool hurrying;

static void hurry(UNUSED void *argument)
{
	clock_fake_start(1700000000);
	while (hurrying) {
		clock_fake_advance_ms(10);
		fiber_yield();
	}
	clock_fake_stop();
}

static void begin_to_hurry(void)
{
	hurrying = true;
	ENSURE(fiber_start("hurry", hurry, NULL) == 0);
	fiber_yield();
}

static void end_to_hurry(void)
{
	hurrying = false;
	fiber_yield();
	fiber_yield();
}

static int echo(const char *text)
{
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	int result = ipc_call(client, ECHO, IPC_SAFE, str_of(text), ECHO, &reply, SOON);
	if (result == 0 && !str_is(buf_str(&reply), text))
		return -EBADMSG;
	return result;
}

/* --- retirement --- */

struct retire {
	struct fake_socket s;
	int hang, crossing, fresh;
	unsigned drained_early;
};

static void retire_under_load(void *argument)
{
	struct retire *r = argument;
	struct ipc_exchange *x, *crossing;
	uint16_t type;
	struct str payload;
	if (ipc_open(client, SOON, &x) != 0)
		return;
	r->hang = ipc_send(x, HANG, STR(""), IPC_MORE, SOON);
	UNTIL(first.running == 1);
	/* One is sent before the client can know: it must be served all the same. */
	if (ipc_open(client, SOON, &crossing) != 0)
		return;
	r->crossing = ipc_send(crossing, ECHO, STR("crossing"), IPC_LAST, SOON);
	ipc_server_retire(first.server);
	r->crossing |= ipc_receive(crossing, &type, &payload, SOON);
	ipc_end(crossing);
	serve(&second, r->s, handle_second);
	r->fresh = echo("new");
	r->drained_early = first.drained;
	r->hang |= ipc_send(x, HANG, STR("rest"), IPC_LAST, SOON);
	release = true;
	r->hang |= ipc_receive(x, &type, &payload, SOON);
	ipc_end(x);
	UNTIL(first.drained == 1);
}

TEST(a_retiring_server_loses_nothing_and_new_exchanges_go_to_another)
{
	struct retire r = {begin(), 1, 1, 1, 1};
	serve(&first, r.s, handle_first);
	run_main(retire_under_load, &r);
	assert_int_equal(r.hang, 0);
	assert_int_equal(r.crossing, 0);
	assert_int_equal(r.fresh, 0);
	assert_int_equal(r.drained_early, 0);
	assert_int_equal(first.drained, 1);
	assert_int_equal(first.seen, 2);
	assert_int_equal(second.seen, 1);
	end(r.s);
}

/* A server of bytes: takes a connection and says hello. */
struct raw {
	int fd;
	struct run_watch *watch;
	struct buf in;
	uint32_t last; /* exchange seen */
};

static void raw_send(struct raw *r, enum wire_kind kind, uint32_t exchange, uint8_t flags,
    struct str payload)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
	struct wire_frame f = {
	    exchange, (uint8_t)kind, flags, kind == WIRE_MESSAGE ? ECHO : 0, payload};
	wire_frame_write(&out, &f);
	fake_send(r->fd, buf_str(&out));
}

static void raw_accept(struct raw *r, int listener)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	struct run_watch *w = run_watch_new(listener);
	ENSURE(run_wait_readable(w, SOON) == 0);
	run_watch_free(w);
	*r = (struct raw){
	    .fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)};
	ENSURE(r->fd >= 0);
	r->watch = run_watch_new(r->fd);
	buf_init(&r->in, 100000);
	struct wire_hello h = {STR("test"), 10, WIRE_WINDOW};
	wire_hello_write(&out, &h);
	fake_send(r->fd, buf_str(&out));
}

/* Reads until a message came; false when the client closed. */
static bool raw_message(struct raw *r)
{
	struct wire_frame f;
	while (fake_frame(r->fd, r->watch, &r->in, &f)) {
		bool message = f.kind == WIRE_MESSAGE;
		r->last = f.exchange;
		fake_consume(&r->in, &f);
		if (message)
			return true;
	}
	return false;
}

static void raw_close(struct raw *r)
{
	run_watch_free(r->watch);
	(void)close(r->fd);
	buf_free(&r->in);
}

struct scene {
	struct fake_socket s;
	unsigned connections, messages;
	int result;
	bool over;
};

static void goaway_server(void *argument)
{
	struct scene *c = argument;
	struct raw r;
	raw_accept(&r, c->s.fd);
	c->connections++;
	if (raw_message(&r)) {
		c->messages++;
		raw_send(&r, WIRE_GOAWAY, 0, 0, (struct str){"\0\0\0\0", 4});
		(void)raw_message(&r); /* the client closes */
	}
	raw_close(&r);
	raw_accept(&r, c->s.fd);
	c->connections++;
	if (raw_message(&r)) {
		c->messages++;
		raw_send(&r, WIRE_MESSAGE, r.last, WIRE_END, STR("x"));
		(void)raw_message(&r);
	}
	raw_close(&r);
	c->over = true;
}

static void call_never(void *argument)
{
	struct scene *c = argument;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	ENSURE(fiber_start("server", goaway_server, c) == 0);
	c->result = ipc_call(client, ECHO, IPC_NEVER, STR("x"), ECHO, &reply, SOON);
	ipc_client_free(client);
	client = NULL;
	UNTIL(c->over);
}

TEST(an_exchange_above_the_last_of_goaway_is_repeated_even_if_its_message_says_never)
{
	struct scene c = {begin(), 0, 0, 1, false};
	run_main(call_never, &c);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.connections, 2);
	assert_int_equal(c.messages, 2);
	end(c.s);
}

/* --- a connection that cannot be had --- */

static unsigned turns;

static void count_turn(void)
{
	turns++;
}

static void ask_for_too_much(void *argument)
{
	struct scene *c = argument;
	struct ipc_exchange *held[10], *one_more;
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		ENSURE(ipc_open(client, SOON, &held[i]) == 0);
	ENSURE(unlink(c->s.path) == 0);
	c->result = ipc_open(client, deadline_after_ms(10), &one_more);
	fiber_sleep_ms(1100); /* the next attempt is due, and nobody wants it */
	turns = 0;
	fiber_sleep_ms(100);
	c->messages = turns;
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		ipc_end(held[i]);
}

TEST(an_attempt_that_nobody_waits_for_any_more_costs_nothing)
{
	struct scene c = {begin(), 0, 0, 0, false};
	serve(&first, c.s, handle_first);
	run_before_wait(50, count_turn);
	run_main(ask_for_too_much, &c);
	assert_int_equal(c.result, -ETIMEDOUT);
	assert_true(c.messages < 10);
	end(c.s);
}

/* --- a connection that is lost --- */

static void dying_server(void *argument)
{
	struct scene *c = argument;
	while (!c->over) {
		struct raw r;
		raw_accept(&r, c->s.fd);
		c->connections++;
		if (raw_message(&r))
			c->messages++;
		if (c->messages == 3)
			raw_send(&r, WIRE_MESSAGE, r.last, WIRE_END, STR("x"));
		if (c->messages == 3 || c->over) {
			(void)raw_message(&r);
			raw_close(&r);
			return;
		}
		raw_close(&r);
	}
}

static void call_safe(void *argument)
{
	struct scene *c = argument;
	ENSURE(fiber_start("server", dying_server, c) == 0);
	begin_to_hurry();
	c->result = echo("x");
	end_to_hurry();
	c->over = true;
}

TEST(a_safe_message_is_repeated_twice_after_a_lost_connection)
{
	struct scene c = {begin(), 0, 0, 1, false};
	run_main(call_safe, &c);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.messages, 3);
	end(c.s);
}

static void dying_at_once(void *argument)
{
	struct scene *c = argument;
	struct raw r;
	raw_accept(&r, c->s.fd);
	if (raw_message(&r))
		c->messages++;
	raw_close(&r);
}

static void call_never_once(void *argument)
{
	struct scene *c = argument;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	ENSURE(fiber_start("server", dying_at_once, c) == 0);
	c->result = ipc_call(client, ECHO, IPC_NEVER, STR("x"), ECHO, &reply, SOON);
}

TEST(another_message_is_not_repeated_and_its_caller_learns_that)
{
	struct scene c = {begin(), 0, 0, 1, false};
	run_main(call_never_once, &c);
	assert_true(c.result == -ECONNRESET || c.result == -EPIPE);
	assert_int_equal(c.messages, 1);
	end(c.s);
}

static void lose_while_streaming(void *argument)
{
	struct scene *c = argument;
	struct ipc_exchange *x;
	ENSURE(fiber_start("server", dying_at_once, c) == 0);
	c->result = ipc_open(client, SOON, &x);
	if (c->result != 0)
		return;
	uint64_t id = ipc_connection_id(x);
	while (c->result == 0)
		c->result = ipc_send(x, ECHO, STR("chunk"), IPC_MORE, SOON);
	c->connections = ipc_open_on(client, id, SOON, &x) == -ECONNRESET ? 1 : 0;
	ipc_end(x);
}

TEST(a_stream_on_a_lost_connection_ends_with_an_error_and_the_connection_is_not_found)
{
	struct scene c = {begin(), 0, 0, 1, false};
	run_main(lose_while_streaming, &c);
	assert_true(c.result == -ECONNRESET || c.result == -EPIPE);
	assert_int_equal(c.connections, 1);
	end(c.s);
}

static void open_nothing(void *argument)
{
	int *results = argument;
	results[0] = echo("x");
}

static void hang_up(void *argument)
{
	struct scene *c = argument;
	struct raw r;
	raw_accept(&r, c->s.fd);
	c->connections++;
	UNTIL(c->over);
	raw_close(&r);
}

static void send_too_late(void *argument)
{
	struct scene *c = argument;
	struct ipc_exchange *x;
	ENSURE(fiber_start("server", hang_up, c) == 0);
	ENSURE(ipc_open(client, SOON, &x) == 0);
	c->over = true;
	fiber_sleep_ms(20); /* the client sees the end of the connection */
	c->result = ipc_send(x, ECHO, STR("x"), true, SOON);
	ipc_end(x);
}

TEST(an_exchange_whose_connection_was_lost_before_its_first_message_does_not_wait)
{
	struct scene c = {begin(), 0, 0, 0, false};
	run_main(send_too_late, &c);
	assert_int_equal(c.result, -ECONNRESET);
	end(c.s);
}

TEST(a_service_that_is_not_there_is_reported_at_once)
{
	struct fake_socket s = begin();
	int result = 0;
	(void)close(s.fd);
	run_main(open_nothing, &result);
	assert_int_equal(result, -ECONNREFUSED);
	(void)unlink(s.path);
	run_main(open_nothing, &result);
	assert_int_equal(result, -ENOENT);
	s.fd = -1;
	end(s);
}

static void closing_server(void *argument)
{
	struct scene *c = argument;
	struct run_watch *w = run_watch_new(c->s.fd);
	while (c->connections < 3 && run_wait_readable(w, SOON) == 0) {
		(void)close(accept4(c->s.fd, NULL, NULL, SOCK_CLOEXEC));
		c->connections++;
	}
	run_watch_free(w);
}

static void open_refused(void *argument)
{
	struct scene *c = argument;
	struct ipc_exchange *x;
	ENSURE(fiber_start("server", closing_server, c) == 0);
	begin_to_hurry();
	c->result = ipc_open(client, SOON, &x);
	end_to_hurry();
}

TEST(a_service_that_hangs_up_before_its_hello_is_tried_three_times)
{
	struct scene c = {begin(), 0, 0, 1, false};
	run_main(open_refused, &c);
	assert_true(c.result == -ECONNRESET || c.result == -EPIPE);
	assert_int_equal(c.connections, 3);
	end(c.s);
}

/* --- notifications --- */

static void notify_often(UNUSED void *argument)
{
	ipc_notify(client, NOTE, STR("")); /* nobody is connected yet */
	ipc_notify(client, NOTE, STR("")); /* the same: once is enough */
	ipc_notify(client, NOTE, STR("b"));
	UNTIL(first.notes == 2 && first.running == 0);
	(void)!echo("x"); /* the handlers' cancels have come back by then */
	for (int i = 0; i < 10; i++)
		ipc_notify(client, NOTE, STR(""));
	UNTIL(first.notes == 12 && first.running == 0);
}

TEST(notifications_arrive_and_leave_no_exchange_behind)
{
	struct fake_socket s = begin();
	serve(&first, s, handle_first);
	run_main(notify_often, NULL);
	assert_int_equal(first.notes, 12);
	assert_int_equal(ipc_server_open(first.server), 0);
	assert_int_equal(ipc_server_connections(first.server), 1);
	end(s);
}

static void notify_and_leave(UNUSED void *argument)
{
	if (echo("x") != 0)
		return;
	ipc_notify(client, NOTE, STR(""));
	ipc_flush();
	ipc_client_free(client);
	client = NULL;
	UNTIL(first.notes == 1);
}

TEST(a_notification_is_served_though_its_sender_has_left)
{
	struct fake_socket s = begin();
	serve(&first, s, handle_first);
	run_main(notify_and_leave, NULL);
	assert_int_equal(first.notes, 1);
	end(s);
}

/* --- idle connections --- */

static void idle(void *argument)
{
	int *results = argument;
	results[0] = echo("x");
	results[1] = (int)ipc_server_connections(first.server);
	begin_to_hurry();
	UNTIL(ipc_server_connections(first.server) == 0);
	end_to_hurry();
	results[2] = (int)ipc_server_connections(first.server);
	results[3] = echo("y");
}

TEST(an_idle_connection_is_closed_and_opened_again_when_needed)
{
	struct fake_socket s = begin();
	serve(&first, s, handle_first);
	ipc_client_free(client);
	const struct ipc_client_options options = {.idle_ms = 1};
	client = ipc_client_new(s.path, "test", &options);
	int results[4] = {1, 1, 1, 1};
	run_main(idle, results);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 1);
	assert_int_equal(results[2], 0);
	assert_int_equal(results[3], 0);
	end(s);
}

static void grow_old(void *argument)
{
	int *results = argument;
	struct ipc_exchange *x, *y;
	results[0] = ipc_open(client, SOON, &x);
	if (results[0] != 0)
		return;
	fiber_sleep_ms(5);
	results[1] = ipc_open(client, SOON, &y);
	if (results[1] == 0) {
		results[2] = ipc_connection_id(x) != ipc_connection_id(y);
		ipc_end(y);
	}
	ipc_end(x);
}

TEST(an_old_connection_takes_no_new_exchange)
{
	struct fake_socket s = begin();
	serve(&first, s, handle_first);
	ipc_client_free(client);
	const struct ipc_client_options options = {.ttl_ms = 4};
	client = ipc_client_new(s.path, "test", &options);
	int results[3] = {1, 1, 0};
	run_main(grow_old, results);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 0);
	assert_true(results[2]);
	end(s);
}
