#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/listen.h"
#include "net/stream_private.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

/* Two ends; `here` is what a test's fiber tries, `there` the peer's plain descriptor. */
struct scene {
	struct stream *here;
	int there;
	struct buf seen;
	void (*peer)(struct scene *s); /* runs in a fiber of its own */
	void (*body)(struct scene *s);
};

static void note(struct scene *s, ssize_t value)
{
	buf_add_i64(&s->seen, value);
	buf_add_char(&s->seen, ' ');
}

static void peer_main(void *argument)
{
	struct scene *s = argument;

	s->peer(s);
}

static void body_main(void *argument)
{
	struct scene *s = argument;

	if (s->peer != NULL && fiber_start("peer", peer_main, s) != 0)
		return;
	s->body(s);
	while (fiber_count() > 1)
		fiber_sleep_ms(1);
}

static void play(struct scene *s, const char *expected)
{
	int fds[2];

	s->seen = BUF_INIT((size_t)1 << 20);
	run_init();
	assert_int_equal(net_pair(fds), 0);
	s->here = stream_new(fds[0]);
	s->there = fds[1];
	run_main(body_main, s);
	stream_free(s->here);
	if (s->there >= 0)
		(void)close(s->there);
	assert_str(buf_str(&s->seen), expected);
	assert_int_equal(stream_buffers_held(), 0);
	buf_free(&s->seen);
}

static void send_text(struct scene *s, const char *text)
{
	(void)!write(s->there, text, strlen(text));
}

static void hang_up(struct scene *s)
{
	(void)close(s->there);
	s->there = -1;
}

static void show_line(struct scene *s, size_t max)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(max + 1);
	bool cut;
	ssize_t got = stream_read_line(s->here, &line, max, &cut);

	buf_printf(&s->seen, "%zd%s[", got, cut ? "!" : "");
	for (size_t i = 0; i < line.len; i++)
		buf_add_char(&s->seen, line.p[i] == '\n' ? '$' : line.p[i]);
	buf_add_cstr(&s->seen, "] ");
}

static void read_lines(struct scene *s)
{
	send_text(s, "one\ntwo\r\n\nabcde\nabcdef\nrest");
	hang_up(s);
	show_line(s, 5);
	show_line(s, 5);
	show_line(s, 5);
	show_line(s, 5); /* exactly max bytes before its LF */
	show_line(s, 5);
	show_line(s, 5);
	show_line(s, 5);
	show_line(s, 5);
}

TEST(stream_reads_lines_up_to_their_limit)
{
	struct scene s = {.body = read_lines};

	play(&s, "4[one$] 5[two\r$] 1[$] 6[abcde$] 5![abcde] 2[f$] -4096[rest] -4096[] ");
}

/* A byte every 4 ms, 15 of them, then the line's end. */
static void drip_line(struct scene *s)
{
	for (int i = 0; i < 15; i++) {
		(void)!write(s->there, "x", 1);
		fiber_sleep_ms(4);
	}
	(void)!write(s->there, "\n", 1);
}

static void read_each_anew(struct scene *s)
{
	stream_set_limit(s->here, 30, STREAM_EACH_ANEW);
	show_line(s, 100);
}

TEST(stream_limit_of_each_wait_begins_anew_with_every_byte)
{
	struct scene s = {.peer = drip_line, .body = read_each_anew};

	play(&s, "16[xxxxxxxxxxxxxxx$] ");
}

static void note_read(struct scene *s, int64_t least_rate)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(101);
	bool cut;

	stream_set_limit(s->here, 30, least_rate);
	note(s, stream_read_line(s->here, &line, 100, &cut));
}

static void read_whole(struct scene *s)
{
	note_read(s, STREAM_WHOLE);
}

TEST(stream_limit_of_the_whole_is_not_put_off_by_bytes)
{
	struct scene s = {.peer = drip_line, .body = read_whole};
	char expected[20];

	(void)snprintf(expected, sizeof(expected), "%d ", -ETIMEDOUT);
	play(&s, expected);
}

/* 250 bytes a second come. */
static void read_fast_enough(struct scene *s)
{
	note_read(s, 50);
}

static void read_too_slow(struct scene *s)
{
	note_read(s, 2500);
}

TEST(stream_limit_with_a_least_rate_is_put_off_by_bytes_at_that_rate)
{
	struct scene fast = {.peer = drip_line, .body = read_fast_enough};
	struct scene slow = {.peer = drip_line, .body = read_too_slow};
	char expected[20];

	play(&fast, "16 ");
	(void)snprintf(expected, sizeof(expected), "%d ", -ETIMEDOUT);
	play(&slow, expected);
}

/* The burst of 20 bytes pays for 200 ms, of which 30 count. */
static void burst_and_stop(struct scene *s)
{
	send_text(s, "xxxxxxxxxxxxxxxxxxxx");
	fiber_sleep_ms(80);
	send_text(s, "\n");
}

static void read_burst(struct scene *s)
{
	note_read(s, 100);
}

TEST(stream_limit_is_never_more_than_what_was_set)
{
	struct scene s = {.peer = burst_and_stop, .body = read_burst};
	char expected[20];

	(void)snprintf(expected, sizeof(expected), "%d ", -ETIMEDOUT);
	play(&s, expected);
}

/* A server that is slow itself does not take it out on its client. */
static void read_after_a_while(struct scene *s)
{
	stream_set_limit(s->here, 30, STREAM_WHOLE);
	fiber_sleep_ms(40);
	show_line(s, 100);
}

static void answer_soon(struct scene *s)
{
	fiber_sleep_ms(50);
	send_text(s, "x\n");
}

TEST(stream_limit_counts_only_time_waited_for_the_peer)
{
	struct scene s = {.peer = answer_soon, .body = read_after_a_while};

	play(&s, "2[x$] ");
}

static void send_byte_by_byte(struct scene *s)
{
	for (const char *p = "abcdef\ng\n"; *p != '\0'; p++) {
		(void)!write(s->there, p, 1);
		fiber_sleep_ms(1);
	}
}

static void read_two_lines(struct scene *s)
{
	show_line(s, 5);
	show_line(s, 5);
	show_line(s, 5);
}

TEST(stream_waits_for_the_rest_of_a_line)
{
	struct scene s = {.body = read_two_lines, .peer = send_byte_by_byte};

	play(&s, "5![abcde] 2[f$] 2[g$] ");
}

static void read_past_deadline(struct scene *s)
{
	char c;

	send_text(s, "x");
	stream_set_deadline(s->here, deadline_after_ms(5));
	note(s, stream_read_some(s->here, &c, 1));
	note(s, stream_read_some(s->here, &c, 1));
	send_text(s, "y");
	stream_set_deadline(s->here, CLOCK_NEVER);
	note(s, stream_read_some(s->here, &c, 1));
	note(s, stream_write(s->here, "z", 1));
	note(s, stream_error(s->here));
}

TEST(stream_timeout_is_sticky)
{
	struct scene s = {.body = read_past_deadline};

	play(&s, "1 -110 -110 -110 -110 ");
}

static void peek_and_skip(struct scene *s)
{
	const char *bytes;
	char block[STREAM_BUFFER];

	note(s, stream_peek(s->here, 0, &bytes));
	send_text(s, "abcdef");
	note(s, stream_peek(s->here, 3, &bytes));
	buf_add(&s->seen, bytes, 3);
	stream_skip(s->here, 2);
	note(s, stream_peek(s->here, 1, &bytes));
	buf_add(&s->seen, bytes, 1);
	memset(block, 'x', sizeof(block));
	(void)!write(s->there, block, sizeof(block));
	/* The whole buffer: the four bytes must move to the front. */
	note(s, stream_peek(s->here, STREAM_BUFFER, &bytes));
	buf_add(&s->seen, bytes, 5);
	note(s, (ssize_t)stream_pending(s->here, false));
	note(s, (ssize_t)stream_pending(s->here, true));
	stream_discard_input(s->here);
	note(s, (ssize_t)stream_pending(s->here, true));
	hang_up(s);
	note(s, stream_peek(s->here, 5, &bytes));
	note(s, stream_peek(s->here, 0, &bytes));
	stream_skip(s->here, 4);
}

TEST(stream_peeks_without_taking)
{
	struct scene s = {.body = peek_and_skip};

	play(&s, "0 6 abc4 c16384 cdefx16384 16388 4 -4096 4 ");
}

static void take_all(struct scene *s)
{
	char bytes[5000];
	size_t total = 0;
	ssize_t got;

	for (;;) {
		got = read(s->there, bytes, sizeof(bytes));
		if (got == 0)
			break;
		if (got > 0)
			total += (size_t)got;
		else
			fiber_sleep_ms(1);
	}
	note(s, (ssize_t)total);
}

static void write_much(struct scene *s)
{
	char block[50000];

	memset(block, 'x', sizeof(block));
	note(s, stream_write(s->here, "a", 1));
	note(s, (ssize_t)stream_unflushed(s->here));
	for (int i = 0; i < 20; i++)
		(void)!stream_write(s->here, block, sizeof(block));
	note(s, stream_printf(s->here, "%d-%s", 250, "ok"));
	note(s, stream_printf(s->here, "%30000d", 1));
	note(s, stream_write_str(s->here, STR("end")));
	note(s, stream_flush(s->here));
	note(s, (ssize_t)stream_unflushed(s->here));
	(void)shutdown(stream_fd(s->here), SHUT_WR);
}

TEST(stream_writes_more_than_the_socket_takes)
{
	struct scene s = {.body = write_much, .peer = take_all};

	play(&s, "0 1 0 0 0 0 0 1030010 ");
}

static void write_to_nobody(struct scene *s)
{
	int first;

	hang_up(s);
	first = stream_write(s->here, "x", 1);
	note(s, first);
	note(s, stream_flush(s->here));
	note(s, stream_write(s->here, "x", 1));
}

TEST(stream_write_to_a_peer_that_left_is_an_error_not_a_signal)
{
	struct scene s = {.body = write_to_nobody};

	play(&s, "0 -32 -32 ");
}

static void write_without_reader(struct scene *s)
{
	char block[4096] = {0};
	int result = 0;

	stream_set_deadline(s->here, deadline_after_ms(10));
	for (int i = 0; i < 10000 && result == 0; i++)
		result = stream_write(s->here, block, sizeof(block));
	note(s, result);
}

TEST(stream_write_ends_at_its_deadline)
{
	struct scene s = {.body = write_without_reader};

	play(&s, "-110 ");
}

static void read_pieces(struct scene *s)
{
	char bytes[5] = "";
	char large[STREAM_BUFFER];

	send_text(s, "abcdefgh");
	note(s, stream_read_exact(s->here, bytes, 4));
	buf_add(&s->seen, bytes, 4);
	note(s, stream_read_some(s->here, large, sizeof(large)));
	send_text(s, "ijk");
	note(s, stream_read_some(s->here, large, sizeof(large)));
	buf_add(&s->seen, large, 3);
	send_text(s, "l");
	hang_up(s);
	note(s, stream_read_exact(s->here, bytes, 4));
	note(s, stream_read_some(s->here, large, sizeof(large)));
}

TEST(stream_reads_some_and_exactly)
{
	struct scene s = {.body = read_pieces};

	play(&s, "0 abcd4 3 ijk-4096 -4096 ");
}

static size_t held_while_idle;

static void look_at_buffers(struct scene *s)
{
	fiber_sleep_ms(3);
	held_while_idle = stream_buffers_held();
	send_text(s, "next\n");
}

static void read_then_idle(struct scene *s)
{
	send_text(s, "first\n");
	show_line(s, 100);
	(void)!stream_printf(s->here, "ok\n");
	(void)!stream_flush(s->here);
	show_line(s, 100);
}

TEST(stream_that_waits_for_its_peer_holds_no_buffer)
{
	struct scene s = {.body = read_then_idle, .peer = look_at_buffers};

	held_while_idle = 99;
	play(&s, "6[first$] 5[next$] ");
	assert_int_equal(held_while_idle, 0);
}

/* A peer that never lets us wait. */
static void flood(struct scene *s)
{
	char block[8192];

	memset(block, 'x', sizeof(block));
	while (stream_error(s->here) == 0) {
		while (write(s->there, block, sizeof(block)) > 0)
			continue;
		fiber_yield();
	}
}

static void read_flood(struct scene *s)
{
	char block[512];
	ssize_t got;

	stream_set_deadline(s->here, deadline_after_ms(30));
	do {
		got = stream_read_some(s->here, block, sizeof(block));
	} while (got > 0);
	note(s, got);
}

TEST(stream_from_a_peer_that_never_pauses_still_meets_its_deadline)
{
	struct scene s = {.body = read_flood, .peer = flood};

	play(&s, "-110 ");
}

static void exchange_descriptors(struct scene *s)
{
	struct stream *other = stream_new(s->there);
	int pipe_fds[2], received;
	struct stat sent_status, received_status;

	s->there = -1;
	if (pipe(pipe_fds) != 0)
		return;
	note(s, stream_write(s->here, "", 0));
	note(s, stream_send_fd(s->here, pipe_fds[1]));
	received = stream_receive_fd(other);
	if (fstat(received, &received_status) == 0 &&
	    fstat(pipe_fds[1], &sent_status) == 0)
		note(s, received_status.st_ino == sent_status.st_ino);
	note(s, fcntl(received, F_GETFD) & FD_CLOEXEC);
	(void)close(received);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)!stream_write(s->here, "x", 1);
	(void)!stream_flush(s->here);
	note(s, stream_receive_fd(other)); /* a byte without a descriptor */
	stream_free(other);
	note(s, stream_receive_fd(s->here));
}

TEST(stream_passes_descriptors)
{
	struct scene s = {.body = exchange_descriptors};

	play(&s, "0 0 1 1 -71 -4096 ");
}

/* Together, as no honest peer sends them. */
static bool send_two_descriptors(int socket)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	const int fds[] = {socket, socket};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	return sendmsg(socket, &message, 0) == 1;
}

static void receive_two(struct scene *s)
{
	int before = dup(0), received, after;

	(void)close(before);
	note(s, send_two_descriptors(s->there));
	received = stream_receive_fd(s->here);
	note(s, received == before);
	(void)close(received);
	after = dup(0);
	(void)close(after);
	note(s, after == before); /* the second was not left open behind it */
	received = dup(0);
	after = dup(0);
	note(s, after == received + 1);
	(void)close(received);
	(void)close(after);
}

TEST(stream_takes_one_descriptor_of_two_and_the_other_does_not_stay_open)
{
	struct scene s = {.body = receive_two};

	play(&s, "1 1 1 1 ");
}

static void receive_after_data(struct scene *s)
{
	char c;

	send_text(s, "ab");
	(void)!stream_read_some(s->here, &c, 1);
	note(s, stream_receive_fd(s->here));
}

TEST(stream_refuses_a_descriptor_behind_unread_data)
{
	struct scene s = {.body = receive_after_data};

	play(&s, "-71 ");
}

/* A filter that flips bits, one that may stop in the middle. */
struct flip {
	int freed;
};

static ssize_t flip_read(UNUSED void *state, struct stream *raw, void *bytes, size_t len)
{
	unsigned char *p = bytes;
	ssize_t got = stream_raw_read(raw, bytes, len > 3 ? 3 : len);

	for (ssize_t i = 0; i < got; i++)
		p[i] ^= 1;
	return got;
}

static ssize_t flip_write(
    UNUSED void *state, struct stream *raw, const void *bytes, size_t len)
{
	unsigned char part[4];
	const unsigned char *p = bytes;
	ssize_t done;

	if (len > sizeof(part))
		len = sizeof(part);
	for (size_t i = 0; i < len; i++)
		part[i] = p[i] ^ 1;
	done = stream_raw_write(raw, part, len);
	return done;
}

static void flip_free(void *state)
{
	((struct flip *)state)->freed++;
}

static size_t flip_pending(UNUSED void *state)
{
	return 7;
}

static const struct stream_filter flip_filter = {
    flip_read, flip_write, flip_pending, flip_free};
static struct flip flip;

static void talk_through_filter(struct scene *s)
{
	char bytes[6] = "";
	const char *peeked;

	send_text(s, "STARTcfb"); /* raw bytes that came early belong to the filter */
	note(s, stream_read_exact(s->here, bytes, 5));
	buf_add(&s->seen, bytes, 5);
	note(s, stream_raw_read(s->here, bytes, 1)); /* the handshake */
	buf_add(&s->seen, bytes, 1);
	stream_push_filter(s->here, &flip_filter, &flip);
	send_text(s, "edg");
	note(s, (ssize_t)stream_pending(s->here, false));
	note(s, stream_peek(s->here, 5, &peeked));
	buf_add(&s->seen, peeked, 5);
	stream_skip(s->here, 5);
	note(s, stream_write(s->here, "`abcdefg", 8));
	note(s, stream_flush(s->here));
	note(s, read(s->there, bytes, 5));
	buf_add(&s->seen, bytes, 5);
	held_while_idle = 99;
	fiber_yield();
}

TEST(stream_filter_sees_raw_bytes_and_gives_its_own)
{
	struct scene s = {.body = talk_through_filter};

	flip.freed = 0;
	play(&s, "0 START1 c9 5 gcdef0 0 5 a`cbe");
	assert_int_equal(flip.freed, 1);
}

static void idle_with_filter(struct scene *s)
{
	char c;

	stream_push_filter(s->here, &flip_filter, &flip);
	note(s, stream_read_some(s->here, &c, 1));
}

TEST(stream_with_filter_that_waits_holds_no_buffer)
{
	struct scene s = {.body = idle_with_filter, .peer = look_at_buffers};

	held_while_idle = 99;
	play(&s, "1 ");
	assert_int_equal(held_while_idle, 0);
}

static void fail_each(struct scene *s)
{
	char c;

	send_text(s, "abc");
	fault_set(FAULT_RECEIVE, 1, false, EINTR);
	note(s, stream_read_some(s->here, &c, 1));
	stream_discard_input(s->here);
	fault_set(FAULT_SEND, 1, false, EINTR);
	(void)!stream_write(s->here, "x", 1);
	note(s, stream_flush(s->here));
	fault_set(FAULT_SEND, 1, false, ECONNRESET);
	(void)!stream_write(s->here, "x", 1);
	note(s, stream_flush(s->here));
	note(s, stream_read_some(s->here, &c, 1));
	fault_set(FAULT_SEND, 0, false, 0);
}

TEST(stream_calls_fail_at_their_fault_points)
{
	struct scene s = {.body = fail_each};

	play(&s, "1 0 -104 -104 ");
}

static void fail_reading(struct scene *s)
{
	char c;

	send_text(s, "abc");
	fault_set(FAULT_RECEIVE, 1, false, ECONNRESET);
	note(s, stream_read_some(s->here, &c, 1));
	note(s, stream_read_some(s->here, &c, 1));
	fault_set(FAULT_RECEIVE, 0, false, 0);
}

TEST(stream_reset_is_sticky)
{
	struct scene s = {.body = fail_reading};

	play(&s, "-104 -104 ");
}

TEST(stream_free_takes_null)
{
	stream_free(NULL);
	assert_int_equal(stream_buffers_held(), 0);
}

static void look_whether_quiet(struct scene *s)
{
	char c;

	note(s, stream_is_quiet(s->here));
	send_text(s, "a");
	note(s, stream_is_quiet(s->here));
	note(s, stream_read_some(s->here, &c, 1));
	note(s, stream_is_quiet(s->here));
	hang_up(s);
	note(s, stream_is_quiet(s->here));
}

TEST(stream_is_quiet_while_the_peer_says_nothing_and_stays)
{
	struct scene s = {.body = look_whether_quiet};

	play(&s, "1 0 1 1 0 ");
}
