#include "ipc/ipc_fake.h"

#include <errno.h>

enum { ECHO = 1, STREAM_UP, STREAM_DOWN, HANG, REFUSE };
#define STREAM_BYTES (2u << 20)

static struct {
	struct ipc_server *server;
	struct ipc_client *client;
	unsigned running, most_running, done, busy_changes, closed, held;
	size_t bytes;
	int handler_result;
	bool full, hold, release;
} t;

/* Waits for a condition of the other fibers, not for a time: machines are slow at times.
 */
#define UNTIL(condition)                                         \
	for (int64_t end_of_wait = SOON;                         \
	     !(condition) && deadline_left_ms(end_of_wait) > 0;) \
	fiber_sleep_ms(1)

static void stream_up(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	int result;
	t.bytes = 0;
	while ((result = ipc_receive(x, &type, &payload, SOON)) == 0) {
		t.bytes += payload.len;
		fiber_yield();
	}
	t.handler_result = result;
	if (result == -ENODATA)
		(void)!ipc_reply(x, STREAM_UP, STR("all"));
}

static void stream_down(struct ipc_exchange *x)
{
	static const char chunk[WIRE_CHUNK];
	for (size_t sent = 0; sent < STREAM_BYTES; sent += sizeof(chunk))
		if (ipc_send(x, STREAM_DOWN, (struct str){chunk, sizeof(chunk)},
			sent + sizeof(chunk) == STREAM_BYTES, SOON) != 0)
			return;
}

static void handle(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (++t.running > t.most_running)
		t.most_running = t.running;
	int result = ipc_receive(x, &type, &payload, SOON);
	if (result == 0 && type == ECHO) {
		*ipc_connection_state(x) = &t;
		t.handler_result = ipc_reply(x, ECHO, payload);
	} else if (result == 0 && type == STREAM_UP) {
		stream_up(x);
	} else if (result == 0 && type == STREAM_DOWN) {
		stream_down(x);
	} else if (result == 0 && type == HANG) {
		t.handler_result = ipc_receive(x, &type, &payload, SOON);
	}
	t.running--;
}

static void busy_changed(bool full)
{
	t.busy_changes++;
	t.full = full;
}

static void done(void)
{
	t.done++;
}

static void closed(void *state)
{
	ENSURE(state == &t);
	t.closed++;
}

static struct fake_socket begin(uint32_t limit)
{
	memset(&t, 0, sizeof(t));
	run_init();
	struct fake_socket s = fake_listen();
	const struct ipc_server_options options = {
	    .service = "test",
	    .client_limit = limit,
	    .handler = handle,
	    .busy_changed = busy_changed,
	    .exchange_done = done,
	    .connection_closed = closed,
	};
	t.server = ipc_server_new(&options);
	ipc_server_listen(t.server, s.fd);
	t.client = ipc_client_new(s.path, "test", NULL);
	return s;
}

/* Lets both sides see that the other closed. */
static void settle(UNUSED void *argument)
{
	ipc_client_free(t.client);
	for (int i = 0; i < 10; i++)
		fiber_yield();
	while (ipc_server_open(t.server) > 0 || ipc_server_connections(t.server) > 0)
		fiber_sleep_ms(2);
	ipc_server_free(t.server);
	for (int i = 0; i < 3; i++)
		fiber_yield();
}

static void end(struct fake_socket s)
{
	run_main(settle, NULL);
	(void)close(s.fd);
	ipc_pools_clear();
}

/* --- one request, one answer --- */

static void call_often(void *argument)
{
	int *failures = argument;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	for (int i = 0; i < 1000; i++) {
		char text[20];
		(void)snprintf(text, sizeof(text), "%d", i);
		if (ipc_call(t.client, ECHO, IPC_SAFE, str_of(text), ECHO, &reply,
			SOON) != 0 ||
		    !str_is(buf_str(&reply), text))
			++*failures;
	}
}

TEST(calls_share_one_kept_connection)
{
	struct fake_socket s = begin(10);
	int failures = 0;
	run_main(call_often, &failures);
	assert_int_equal(failures, 0);
	assert_int_equal(t.done, 1000);
	assert_int_equal(ipc_server_connections(t.server), 1);
	assert_int_equal(t.most_running, 1);
	assert_int_equal(t.closed, 0);
	end(s);
	assert_int_equal(t.closed, 1);
}

static void call_wrong_type(void *argument)
{
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	*(int *)argument =
	    ipc_call(t.client, ECHO, IPC_NEVER, STR("x"), STREAM_UP, &reply, SOON);
}

TEST(an_answer_of_another_type_is_malformed)
{
	struct fake_socket s = begin(10);
	int result = 0;
	run_main(call_wrong_type, &result);
	assert_int_equal(result, -EBADMSG);
	end(s);
}

/* --- streams and windows --- */

static int send_stream(struct ipc_exchange *x, size_t frame)
{
	CLEANUP(buf_free) struct buf chunk = BUF_INIT(WIRE_PAYLOAD_MAX);
	buf_add_fill(&chunk, 'x', frame);
	for (size_t sent = 0; sent < STREAM_BYTES; sent += frame) {
		int result = ipc_send(
		    x, STREAM_UP, buf_str(&chunk), sent + frame >= STREAM_BYTES, SOON);
		if (result != 0)
			return result;
	}
	return 0;
}

static void stream_to_server(void *argument)
{
	int *result = argument;
	struct ipc_exchange *x;
	uint16_t type;
	struct str payload;
	*result = ipc_open(t.client, SOON, &x);
	if (*result != 0)
		return;
	*result = ipc_send(x, STREAM_UP, STR(""), IPC_MORE, SOON);
	if (*result == 0)
		*result = send_stream(x, WIRE_CHUNK);
	if (*result == 0)
		*result = ipc_receive(x, &type, &payload, SOON);
	if (*result == 0 && !str_is(payload, "all"))
		*result = -EBADMSG;
	ipc_end(x);
}

TEST(two_megabytes_stream_to_the_server_through_a_window)
{
	struct fake_socket s = begin(10);
	int result = 1;
	run_main(stream_to_server, &result);
	assert_int_equal(result, 0);
	assert_int_equal(t.bytes, STREAM_BYTES);
	end(s);
}

static void stream_large_frames(void *argument)
{
	int *result = argument;
	struct ipc_exchange *x;
	*result = ipc_open(t.client, SOON, &x);
	if (*result != 0)
		return;
	*result = ipc_send(x, STREAM_UP, STR(""), IPC_MORE, SOON);
	if (*result == 0)
		*result = send_stream(x, WIRE_PAYLOAD_MAX);
	uint16_t type;
	struct str payload;
	if (*result == 0)
		*result = ipc_receive(x, &type, &payload, SOON);
	ipc_end(x);
}

TEST(frames_as_large_as_the_window_do_not_block_each_other)
{
	struct fake_socket s = begin(10);
	int result = 1;
	run_main(stream_large_frames, &result);
	assert_int_equal(result, 0);
	assert_int_equal(t.bytes, STREAM_BYTES);
	end(s);
}

static void stream_from_server(void *argument)
{
	size_t *bytes = argument;
	struct ipc_exchange *x;
	uint16_t type;
	struct str payload;
	int result = ipc_open(t.client, SOON, &x);
	if (result != 0)
		return;
	result = ipc_send(x, STREAM_DOWN, STR(""), IPC_LAST, SOON);
	while (result == 0 && (result = ipc_receive(x, &type, &payload, SOON)) == 0)
		*bytes += payload.len;
	if (result != -ENODATA)
		*bytes = 0;
	ipc_end(x);
}

TEST(two_megabytes_stream_from_the_server)
{
	struct fake_socket s = begin(10);
	size_t bytes = 0;
	run_main(stream_from_server, &bytes);
	assert_int_equal(bytes, STREAM_BYTES);
	end(s);
}

struct stuck {
	int stream_result, call_result;
	size_t sent;
};

static void stuck_stream(void *argument)
{
	struct stuck *r = argument;
	struct ipc_exchange *x;
	CLEANUP(buf_free) struct buf chunk = BUF_INIT(WIRE_CHUNK);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(100);
	buf_add_fill(&chunk, 'x', WIRE_CHUNK);
	if (ipc_open(t.client, SOON, &x) != 0)
		return;
	/* The handler reads two messages and then nothing. */
	r->stream_result = ipc_send(x, HANG, STR(""), IPC_MORE, SOON);
	while (r->stream_result == 0) {
		r->stream_result =
		    ipc_send(x, HANG, buf_str(&chunk), IPC_MORE, deadline_after_ms(20));
		if (r->stream_result == 0)
			r->sent += chunk.len;
	}
	r->call_result =
	    ipc_call(t.client, ECHO, IPC_NEVER, STR("y"), ECHO, &reply, SOON);
	ipc_end(x);
}

static void hang_reader(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (ipc_receive(x, &type, &payload, SOON) != 0)
		return;
	if (type == ECHO) {
		(void)!ipc_reply(x, ECHO, payload);
		return;
	}
	while (!ipc_cancelled(x))
		fiber_sleep_ms(5);
	t.handler_result = -ECANCELED;
}

TEST(a_stream_that_nobody_reads_stops_at_its_window_and_holds_up_no_other)
{
	struct fake_socket s = begin(10);
	ipc_server_free(t.server);
	const struct ipc_server_options options = {
	    .service = "test",
	    .client_limit = 10,
	    .handler = hang_reader,
	};
	t.server = ipc_server_new(&options);
	ipc_server_listen(t.server, s.fd);
	struct stuck r = {1, 1, 0};
	run_main(stuck_stream, &r);
	assert_int_equal(r.stream_result, -ETIMEDOUT);
	assert_in_range(r.sent, WIRE_WINDOW - WIRE_CHUNK, WIRE_WINDOW + WIRE_CHUNK);
	assert_int_equal(r.call_result, 0);
	end(s);
	assert_int_equal(t.handler_result, -ECANCELED);
}

/* --- cancel --- */

static void cancel_from_client(void *argument)
{
	struct ipc_exchange *x;
	*(int *)argument = ipc_open(t.client, SOON, &x);
	if (*(int *)argument != 0)
		return;
	*(int *)argument = ipc_send(x, HANG, STR(""), IPC_MORE, SOON);
	UNTIL(t.running == 1);
	fiber_yield();
	ipc_end(x);
	UNTIL(t.done == 1);
}

TEST(a_cancel_from_the_client_ends_the_handlers_wait)
{
	struct fake_socket s = begin(10);
	int result = 1;
	run_main(cancel_from_client, &result);
	assert_int_equal(result, 0);
	assert_int_equal(t.handler_result, -ECANCELED);
	assert_int_equal(t.done, 1);
	assert_int_equal(ipc_server_connections(t.server), 1);
	end(s);
}

static void cancelled_by_server(void *argument)
{
	struct ipc_exchange *x;
	int *results = argument;
	uint16_t type;
	struct str payload;
	if (ipc_open(t.client, SOON, &x) != 0)
		return;
	if (ipc_send(x, REFUSE, STR(""), IPC_MORE, SOON) == 0) {
		results[0] = ipc_receive(x, &type, &payload, SOON);
		results[1] = ipc_send(x, REFUSE, STR(""), IPC_LAST, SOON);
	}
	ipc_end(x);
}

TEST(a_handler_that_returns_without_an_answer_cancels_the_exchange)
{
	struct fake_socket s = begin(10);
	int results[2] = {1, 1};
	run_main(cancelled_by_server, results);
	assert_int_equal(results[0], -ECANCELED);
	assert_int_equal(results[1], -ECANCELED);
	end(s);
}

static void answered_early(void *argument)
{
	struct ipc_exchange *x;
	int *results = argument;
	uint16_t type;
	struct str payload;
	if (ipc_open(t.client, SOON, &x) != 0)
		return;
	/* The echo comes before our END; the handler is gone then. */
	if (ipc_send(x, ECHO, STR("early"), IPC_MORE, SOON) == 0) {
		UNTIL(ipc_cancelled(x));
		results[0] = ipc_send(x, ECHO, STR("more"), IPC_LAST, SOON);
		results[1] = ipc_receive(x, &type, &payload, SOON);
		results[2] = results[1] == 0 && str_is(payload, "early");
		results[3] = ipc_receive(x, &type, &payload, SOON);
	}
	ipc_end(x);
}

TEST(an_early_answer_is_still_read_after_the_server_left_the_exchange)
{
	struct fake_socket s = begin(10);
	int results[4] = {1, 1, 0, 1};
	run_main(answered_early, results);
	assert_int_equal(results[0], -ECANCELED);
	assert_int_equal(results[1], 0);
	assert_true(results[2]);
	assert_int_equal(results[3], -ENODATA);
	end(s);
}

/* --- credits --- */

static void hang_until_released(UNUSED void *argument)
{
	struct ipc_exchange *x;
	if (ipc_open(t.client, SOON, &x) != 0)
		return;
	if (ipc_send(x, HANG, STR(""), IPC_MORE, SOON) == 0)
		UNTIL(t.release);
	ipc_end(x);
	t.held--;
}

static void hang_often(unsigned count)
{
	for (t.held = count; count > 0; count--)
		ENSURE(fiber_start("hang", hang_until_released, NULL) == 0);
}

static void hang_five(UNUSED void *argument)
{
	hang_often(5);
	UNTIL(t.running == 2);
	fiber_sleep_ms(5);
	t.bytes = ipc_server_connections(t.server);
	t.release = true;
	UNTIL(t.held == 0 && t.running == 0);
}

TEST(a_full_server_takes_no_more_connections_and_the_rest_waits)
{
	struct fake_socket s = begin(2);
	run_main(hang_five, NULL);
	assert_int_equal(t.most_running, 2);
	assert_int_equal(t.held, 0);
	assert_int_equal(t.bytes, 1); /* the others wait in the listener's queue */
	end(s);
}

static void hang_once(UNUSED void *argument)
{
	hang_often(1);
	UNTIL(t.running == 1);
	t.bytes = t.full;
	t.release = true;
	UNTIL(t.done == 1);
	t.hold = t.full;
	fiber_sleep_ms(20);
}

TEST(a_server_with_one_place_is_full_during_an_exchange_and_free_soon_after_it)
{
	struct fake_socket s = begin(1);
	run_main(hang_once, NULL);
	assert_int_equal(t.bytes, 1);
	assert_true(t.hold); /* the next exchange of the same client comes at once */
	assert_false(t.full);
	assert_int_equal(t.busy_changes, 2);
	end(s);
}

static void connect_two(UNUSED void *argument)
{
	hang_often(2);
	UNTIL(t.running == 1);
	fiber_sleep_ms(5);
	t.bytes = ipc_server_connections(t.server);
	t.release = true;
	UNTIL(t.held == 0 && t.running == 0);
}

TEST(a_server_with_one_place_leaves_the_second_connection_to_others)
{
	struct fake_socket s = begin(1);
	run_main(connect_two, NULL);
	assert_int_equal(t.bytes, 1);
	end(s);
}

static void call_two(UNUSED void *argument)
{
	hang_often(2);
	UNTIL(t.running == 1);
	t.release = true;
	UNTIL(t.held == 0 && t.running == 0);
	fiber_sleep_ms(50); /* the second one has been accepted meanwhile */
	t.bytes = ipc_server_connections(t.server);
}

TEST(a_client_keeps_one_connection_to_a_server_with_one_place)
{
	struct fake_socket s = begin(1);
	run_main(call_two, NULL);
	assert_int_equal(t.bytes, 1);
	end(s);
}

static void call_other(void *argument)
{
	CLEANUP(buf_free) struct buf reply = BUF_INIT(10);
	t.handler_result =
	    ipc_call(argument, ECHO, IPC_NEVER, STR("x"), ECHO, &reply, SOON);
}

static void two_clients(void *argument)
{
	struct ipc_client *other = argument;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(10);
	/* Both have a connection, with more granted than there is room for now. */
	if (ipc_call(t.client, ECHO, IPC_NEVER, STR("x"), ECHO, &reply, SOON) != 0 ||
	    ipc_call(other, ECHO, IPC_NEVER, STR("x"), ECHO, &reply, SOON) != 0)
		return;
	ipc_server_set_limit(t.server, 1);
	hang_often(1);
	UNTIL(t.running == 1);
	ENSURE(fiber_start("other", call_other, other) == 0);
	UNTIL(ipc_server_open(t.server) == 2);
	t.bytes = ipc_server_open(t.server);
	t.release = true;
	UNTIL(t.done == 4);
}

TEST(what_was_promised_to_two_clients_waits_in_the_server)
{
	struct fake_socket s = begin(2);
	struct ipc_client *other = ipc_client_new(s.path, "test", NULL);
	run_main(two_clients, other);
	assert_int_equal(t.bytes, 2); /* one running, one waiting */
	assert_int_equal(t.most_running, 1);
	assert_int_equal(t.done, 4);
	assert_int_equal(t.handler_result, 0);
	ipc_client_free(other);
	end(s);
}

static void raise_limit(UNUSED void *argument)
{
	hang_often(4);
	UNTIL(t.running == 1);
	ipc_server_set_limit(t.server, 4);
	UNTIL(t.running == 4);
	t.release = true;
	UNTIL(t.done == 4);
}

TEST(a_raised_limit_lets_more_run_at_once)
{
	struct fake_socket s = begin(1);
	run_main(raise_limit, NULL);
	assert_int_equal(t.most_running, 4);
	end(s);
}

/* --- the same connection --- */

static void open_on_same(void *argument)
{
	int *results = argument;
	struct ipc_exchange *a, *b, *c;
	if (ipc_open(t.client, SOON, &a) != 0)
		return;
	uint64_t id = ipc_connection_id(a);
	results[0] = ipc_open_on(t.client, id, SOON, &b);
	if (results[0] == 0)
		results[1] = ipc_connection_id(b) == id;
	results[2] = ipc_open_on(t.client, id, deadline_after_ms(10), &c);
	ipc_end(a);
	results[3] = ipc_open_on(t.client, id, SOON, &c);
	if (results[3] == 0)
		ipc_end(c);
	ipc_end(b);
	results[4] = ipc_open_on(t.client, id + 100, SOON, &c);
}

TEST(an_exchange_can_be_opened_on_a_given_connection)
{
	struct fake_socket s = begin(2);
	int results[5] = {1, 0, 1, 1, 1};
	run_main(open_on_same, results);
	assert_int_equal(results[0], 0);
	assert_true(results[1]);
	assert_int_equal(results[2], -ETIMEDOUT); /* no credit left there */
	assert_int_equal(results[3], 0);
	assert_int_equal(results[4], -ECONNRESET);
	end(s);
}

/* --- deadlines --- */

static void run_into_deadlines(void *argument)
{
	int *results = argument;
	struct ipc_exchange *x, *y;
	uint16_t type;
	struct str payload;
	if (ipc_open(t.client, SOON, &x) != 0)
		return;
	if (ipc_send(x, HANG, STR(""), IPC_MORE, SOON) == 0)
		results[0] = ipc_receive(x, &type, &payload, deadline_after_ms(10));
	results[1] = ipc_open(t.client, deadline_after_ms(10), &y);
	ipc_end(x);
	results[2] = ipc_open(t.client, SOON, &y);
	if (results[2] == 0)
		ipc_end(y);
}

TEST(waits_end_at_their_deadline)
{
	struct fake_socket s = begin(1);
	int results[3] = {1, 1, 1};
	run_main(run_into_deadlines, results);
	assert_int_equal(results[0], -ETIMEDOUT);
	assert_int_equal(results[1], -ETIMEDOUT);
	assert_int_equal(results[2], 0);
	end(s);
}
