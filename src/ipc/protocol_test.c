#include "ipc/ipc_fake.h"

#include <errno.h>
#include "base/log.h"

enum { ECHO = 1, KEEP };

static struct ipc_server *server;
static unsigned seen;

static void handle(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	seen++;
	while (ipc_receive(x, &type, &payload, SOON) == 0)
		if (type == ECHO) {
			(void)!ipc_reply(x, ECHO, payload);
			return;
		}
}

struct peer {
	int fd;
	struct run_watch *watch;
	struct buf in, out;
};

static void add_frame(struct peer *p, struct wire_frame f)
{
	wire_frame_write(&p->out, &f);
}

static void add_hello(struct peer *p, const char *service, uint32_t window)
{
	struct wire_hello h = {str_of(service), 0, window};
	wire_hello_write(&p->out, &h);
}

static void peer_begin(struct peer *p)
{
	int fds[2];
	fake_pair(fds);
	ipc_server_add(server, fds[0]);
	*p = (struct peer){.fd = fds[1], .watch = run_watch_new(fds[1])};
	buf_init(&p->in, 1u << 20);
	buf_init(&p->out, 1u << 20);
}

static void peer_end(struct peer *p)
{
	run_watch_free(p->watch);
	(void)close(p->fd);
	buf_free(&p->in);
	buf_free(&p->out);
}

/* Sends what was added; true when the server hangs up without another frame but hello. */
static bool is_refused(struct peer *p)
{
	struct wire_frame f;
	fake_send(p->fd, buf_str(&p->out));
	while (fake_frame(p->fd, p->watch, &p->in, &f)) {
		if (f.kind != WIRE_HELLO)
			return false;
		fake_consume(&p->in, &f);
	}
	return true;
}

/* The payload of the next message is `text`. */
static bool answers(struct peer *p, const char *text)
{
	struct wire_frame f;
	while (fake_frame(p->fd, p->watch, &p->in, &f)) {
		bool right = f.kind == WIRE_MESSAGE && str_is(f.payload, text);
		bool message = f.kind == WIRE_MESSAGE;
		fake_consume(&p->in, &f);
		if (message)
			return right;
	}
	return false;
}

static void begin(void)
{
	run_init();
	ENSURE(log_open(LOG_SINK_MEMORY, "postfix/test", NULL) == 0);
	log_memory_clear();
	seen = 0;
	const struct ipc_server_options options = {
	    .service = "test",
	    .client_limit = 2,
	    .window = 8192,
	    .handler = handle,
	};
	server = ipc_server_new(&options);
}

static void settle(UNUSED void *argument)
{
	for (int i = 0; i < 5; i++)
		fiber_yield();
	while (ipc_server_open(server) > 0)
		fiber_sleep_ms(1);
	ipc_server_free(server);
	for (int i = 0; i < 5; i++)
		fiber_yield();
}

static void end(void)
{
	run_main(settle, NULL);
	ipc_pools_clear();
	ENSURE(log_open(LOG_SINK_STDERR, "postfix/test", NULL) == 0);
}

#define MESSAGE(number, flags, text) \
	((struct wire_frame){number, WIRE_MESSAGE, flags, KEEP, STR(text)})
#define NUMBER(kind, exchange, bytes) \
	((struct wire_frame){exchange, kind, 0, 0, {bytes, 4}})

static void no_hello(struct peer *p)
{
	add_frame(p, MESSAGE(1, WIRE_END, "x"));
}

static void other_name(struct peer *p)
{
	add_hello(p, "rest", 0);
}

static void hello_of_a_server(struct peer *p)
{
	add_hello(p, "test", WIRE_WINDOW);
}

static void two_hellos(struct peer *p)
{
	add_hello(p, "test", 0);
	add_hello(p, "test", 0);
}

static void bad_hello(struct peer *p)
{
	add_frame(p, (struct wire_frame){0, WIRE_HELLO, 0, 0, STR("HELO")});
}

static void number_skipped(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, MESSAGE(2, 0, "x"));
}

static void too_many_exchanges(struct peer *p)
{
	add_hello(p, "test", 0);
	for (uint32_t i = 1; i <= 3; i++)
		add_frame(p, MESSAGE(i, 0, "x"));
}

static void message_after_end(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, MESSAGE(1, WIRE_END, "x"));
	add_frame(p, MESSAGE(1, 0, "y"));
}

static void goaway_from_client(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, NUMBER(WIRE_GOAWAY, 0, "\0\0\0\0"));
}

static void credit_for_the_connection(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, NUMBER(WIRE_CREDIT, 0, "\x01\0\0\0"));
}

static void credit_beyond_the_window(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, MESSAGE(1, 0, "x"));
	add_frame(p, NUMBER(WIRE_CREDIT, 1, "\x01\0\0\0"));
}

static void credit_opens_nothing(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, NUMBER(WIRE_CREDIT, 1, "\x01\0\0\0"));
}

static void cancel_opens_nothing(struct peer *p)
{
	add_hello(p, "test", 0);
	add_frame(p, (struct wire_frame){1, WIRE_CANCEL, 0, 0, STR("")});
}

static void more_than_the_window(struct peer *p)
{
	static const char block[4096];
	add_hello(p, "test", 0);
	for (int i = 0; i < 4; i++)
		add_frame(p,
		    (struct wire_frame){
			1, WIRE_MESSAGE, 0, KEEP, {block, sizeof(block)}});
}

static void empty_frames_without_end(struct peer *p)
{
	add_hello(p, "test", 0);
	for (unsigned i = 0; i <= 8192 / WIRE_FRAME_COST; i++)
		add_frame(p, MESSAGE(1, 0, ""));
}

static void oversized_length(struct peer *p)
{
	add_hello(p, "test", 0);
	buf_add(&p->out, "\xff\xff\xff\x7f", 4);
}

static const struct {
	const char *what;
	void (*write)(struct peer *p);
} malformed[] = {
    {"no hello", no_hello},
    {"another service", other_name},
    {"hello of a server", hello_of_a_server},
    {"two hellos", two_hellos},
    {"bad hello", bad_hello},
    {"number skipped", number_skipped},
    {"too many exchanges", too_many_exchanges},
    {"message after END", message_after_end},
    {"goaway from the client", goaway_from_client},
    {"credit for the connection", credit_for_the_connection},
    {"credit beyond the window", credit_beyond_the_window},
    {"credit opens nothing", credit_opens_nothing},
    {"cancel opens nothing", cancel_opens_nothing},
    {"more than the window", more_than_the_window},
    {"empty frames without end", empty_frames_without_end},
    {"oversized length", oversized_length},
};

static void send_malformed(void *argument)
{
	const char **bad = argument;
	for (size_t i = 0; i < ARRAY_SIZE(malformed) && *bad == NULL; i++) {
		struct peer p;
		peer_begin(&p);
		malformed[i].write(&p);
		if (!is_refused(&p))
			*bad = malformed[i].what;
		peer_end(&p);
	}
}

TEST(frames_against_the_rules_end_the_connection_with_one_line_in_the_log)
{
	begin();
	const char *bad = NULL;
	run_main(send_malformed, &bad);
	if (bad != NULL)
		fail_msg("%s was let through", bad);
	size_t lines = 0;
	struct str log = log_memory(), line;
	while (str_next(&log, "\n", &line)) {
		assert_true(str_find_str(
				line, STR("warning: test socket: malformed frame")) >= 0);
		lines++;
	}
	assert_int_equal(lines, ARRAY_SIZE(malformed));
	assert_int_equal(ipc_server_connections(server), 0);
	end();
}

static void send_byte_by_byte(void *argument)
{
	struct peer p;
	peer_begin(&p);
	add_hello(&p, "test", 0);
	add_frame(&p, (struct wire_frame){1, WIRE_MESSAGE, WIRE_END, ECHO, STR("slow")});
	add_frame(&p, (struct wire_frame){2, WIRE_MESSAGE, WIRE_END, ECHO, STR("coach")});
	for (size_t i = 0; i < p.out.len; i++) {
		fake_send(p.fd, (struct str){p.out.p + i, 1});
		fiber_yield();
	}
	*(bool *)argument = answers(&p, "slow") && answers(&p, "coach");
	peer_end(&p);
}

TEST(frames_may_come_byte_by_byte)
{
	begin();
	bool right = false;
	run_main(send_byte_by_byte, &right);
	assert_true(right);
	end();
}

static void send_in_two_halves(void *argument)
{
	struct peer p;
	bool *right = argument;
	*right = true;
	for (size_t cut = 1; *right; cut++) {
		peer_begin(&p);
		add_hello(&p, "test", 0);
		add_frame(
		    &p, (struct wire_frame){1, WIRE_MESSAGE, WIRE_END, ECHO, STR("one")});
		add_frame(
		    &p, (struct wire_frame){2, WIRE_MESSAGE, WIRE_END, ECHO, STR("two")});
		if (cut == p.out.len) {
			peer_end(&p);
			return;
		}
		fake_send(p.fd, str_slice(buf_str(&p.out), 0, cut));
		fiber_sleep_ms(1);
		fake_send(p.fd, str_skip(buf_str(&p.out), cut));
		*right = answers(&p, "one") && answers(&p, "two");
		peer_end(&p);
	}
}

TEST(a_stream_of_frames_may_be_cut_anywhere)
{
	begin();
	bool right = false;
	run_main(send_in_two_halves, &right);
	assert_true(right);
	end();
}

static void send_late_frames(void *argument)
{
	struct peer p;
	bool *right = argument;
	peer_begin(&p);
	add_hello(&p, "test", 0);
	add_frame(&p, (struct wire_frame){1, WIRE_MESSAGE, 0, ECHO, STR("one")});
	fake_send(p.fd, buf_str(&p.out));
	*right = answers(&p, "one");
	/* The server has left exchange 1; what was under way to it is ignored. */
	fiber_sleep_ms(1);
	buf_clear(&p.out);
	add_frame(&p, MESSAGE(1, 0, "late"));
	add_frame(&p, NUMBER(WIRE_CREDIT, 1, "\x01\0\0\0"));
	add_frame(&p, (struct wire_frame){1, WIRE_CANCEL, 0, 0, STR("")});
	add_frame(&p, (struct wire_frame){2, WIRE_MESSAGE, WIRE_END, ECHO, STR("two")});
	fake_send(p.fd, buf_str(&p.out));
	*right = *right && answers(&p, "two");
	peer_end(&p);
}

TEST(frames_of_an_exchange_that_is_over_are_ignored)
{
	begin();
	bool right = false;
	run_main(send_late_frames, &right);
	assert_true(right);
	assert_int_equal(seen, 2);
	end();
}

static void send_descriptor(void *argument)
{
	struct peer p;
	peer_begin(&p);
	add_hello(&p, "test", 0);
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {p.out.p, p.out.len};
	struct msghdr message = {
	    .msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &p.fd, sizeof(int));
	ENSURE(sendmsg(p.fd, &message, 0) > 0);
	struct wire_frame f;
	*(bool *)argument = true;
	while (fake_frame(p.fd, p.watch, &p.in, &f)) {
		*(bool *)argument = f.kind == WIRE_HELLO;
		fake_consume(&p.in, &f);
	}
	peer_end(&p);
}

TEST(a_descriptor_that_nobody_expects_ends_the_connection)
{
	begin();
	bool refused = false;
	run_main(send_descriptor, &refused);
	assert_true(refused);
	assert_true(str_find_str(log_memory(), STR("unexpected descriptor")) >= 0);
	end();
}

static void wait_without_hello(UNUSED void *argument)
{
	struct peer p;
	peer_begin(&p);
	clock_fake_start(1700000000);
	clock_fake_advance_ms(WIRE_HELLO_WAIT_MS + 2000);
	fiber_yield();
	fiber_yield();
	clock_fake_stop();
	peer_end(&p);
}

TEST(a_client_that_never_says_hello_is_closed)
{
	begin();
	run_main(wait_without_hello, NULL);
	assert_int_equal(ipc_server_connections(server), 0);
	assert_true(str_find_str(log_memory(), STR("no hello from the client")) >= 0);
	end();
}
