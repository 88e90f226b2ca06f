#include "net/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "net/listen.h"
#include "net/stream_private.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

struct scene {
	struct net_address to, source;
	bool with_source;
	int64_t timeout_ms;
	int result;
	struct stream *stream;
};

static void do_connect(void *argument)
{
	struct scene *s = argument;

	s->result = net_connect(&s->to, s->with_source ? &s->source : NULL,
	    deadline_after_ms(s->timeout_ms), &s->stream);
}

/* A listener on a free port; `a` gets its address. */
static int listen_somewhere(const char *host, struct net_address *a)
{
	socklen_t len = sizeof(a->storage);
	int fd;

	assert_true(net_address_parse(str_of(host), 0, a));
	fd = net_listen(a, 5);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a->storage, &len), 0);
	return fd;
}

/* A last short segment must not wait for the acknowledgement of the one before. */
static bool sends_at_once(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len) == 0 && value != 0;
}

TEST(connect_reaches_a_listener_and_comes_from_where_it_should)
{
	struct scene s = {.timeout_ms = 1000, .with_source = true, .result = -1};
	CLEANUP(file_close) int listener = listen_somewhere("127.0.0.1", &s.to);
	CLEANUP(file_close) int accepted = -1;
	CLEANUP(buf_free) struct buf text = BUF_INIT(100);
	struct net_address peer;

	assert_int_equal(net_accept(listener, &peer), -EAGAIN);
	assert_true(net_address_parse(STR("127.0.0.2"), 0, &s.source));
	run_main(do_connect, &s);
	assert_int_equal(s.result, 0);
	accepted = net_accept(listener, &peer);
	assert_true(accepted >= 0);
	net_address_add_text(&text, &peer);
	assert_str(buf_str(&text), "127.0.0.2");
	assert_true(net_address_port(&peer) > 0);
	assert_true(sends_at_once(accepted));
	assert_true(sends_at_once(stream_fd(s.stream)));
	stream_free(s.stream);
}

TEST(connect_to_ipv6_works_or_there_is_none)
{
	struct scene s = {.timeout_ms = 1000, .result = -1};
	struct net_address probe;
	int fd;

	assert_true(net_address_parse(STR("::1"), 0, &probe));
	fd = net_listen(&probe, 5);
	if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
		skip();
	file_close(&fd);
	fd = listen_somewhere("::1", &s.to);
	run_main(do_connect, &s);
	assert_int_equal(s.result, 0);
	stream_free(s.stream);
	file_close(&fd);
}

TEST(connect_to_a_closed_port_is_refused)
{
	struct scene s = {.timeout_ms = 1000, .result = -1};
	int listener = listen_somewhere("127.0.0.1", &s.to);

	file_close(&listener);
	run_main(do_connect, &s);
	assert_int_equal(s.result, -ECONNREFUSED);
	assert_null(s.stream);
	assert_true(net_address_parse(STR("192.0.2.1"), 0, &s.source));
	s.with_source = true;
	run_main(do_connect, &s);
	assert_int_equal(s.result, -EADDRNOTAVAIL);
}

TEST(connect_fails_at_its_fault_points)
{
	struct scene s = {.timeout_ms = 1000, .result = -1};
	CLEANUP(file_close) int listener = listen_somewhere("127.0.0.1", &s.to);
	struct net_address peer;

	fault_set(FAULT_CONNECT, 1, false, ENETUNREACH);
	run_main(do_connect, &s);
	assert_int_equal(s.result, -ENETUNREACH);
	fault_set(FAULT_CONNECT, 0, false, 0);
	run_main(do_connect, &s);
	assert_int_equal(s.result, 0);
	stream_free(s.stream);
	fault_set(FAULT_ACCEPT, 1, false, EMFILE);
	assert_int_equal(net_accept(listener, &peer), -EMFILE);
	fault_set(FAULT_ACCEPT, 0, false, 0);
}

TEST(connect_to_a_unix_socket_waits_for_room_in_its_backlog)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(107);
	struct scene s = {.timeout_ms = 30, .result = -1};
	CLEANUP(file_close) int listener = -1;
	struct stream *first;
	struct stat status;

	buf_printf(&path, "%s/socket", unit_directory());
	assert_int_equal(net_address_unix(buf_cstr(&path), &s.to), 0);
	listener = net_listen(&s.to, 0);
	assert_true(listener >= 0);
	assert_int_equal(stat(buf_cstr(&path), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0666);
	run_main(do_connect, &s);
	assert_int_equal(s.result, 0);
	first = s.stream;
	run_main(do_connect, &s);
	assert_int_equal(s.result, -ETIMEDOUT);
	stream_free(first);
}

TEST(listen_replaces_an_old_socket_but_never_a_file)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(107);
	struct net_address a;
	int fd;

	buf_printf(&path, "%s/socket", unit_directory());
	assert_int_equal(net_address_unix(buf_cstr(&path), &a), 0);
	fd = net_listen(&a, 5);
	assert_true(fd >= 0);
	file_close(&fd);
	fd = net_listen(&a, 5);
	assert_true(fd >= 0);
	file_close(&fd);
	assert_int_equal(unlink(buf_cstr(&path)), 0);
	fd = file_open_following(buf_cstr(&path), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	file_close(&fd);
	assert_int_equal(net_listen(&a, 5), -EADDRINUSE);
}

TEST(connect_without_a_loop_blocks_at_most_its_timeout)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(107);
	struct net_address a;
	CLEANUP(file_close) int listener = -1;
	CLEANUP(file_close) int first = -1;
	char c;

	buf_printf(&path, "%s/socket", unit_directory());
	assert_int_equal(net_connect_unix_blocking(buf_cstr(&path), 20), -ENOENT);
	assert_int_equal(net_address_unix(buf_cstr(&path), &a), 0);
	listener = net_listen(&a, 0);
	assert_true(listener >= 0);
	first = net_connect_unix_blocking(buf_cstr(&path), 20);
	assert_true(first >= 0);
	assert_int_equal(file_read_some(first, &c, 1), -EAGAIN);
	assert_int_equal(net_connect_unix_blocking(buf_cstr(&path), 20), -ETIMEDOUT);
}

static void say_last(void *argument)
{
	struct scene *s = argument;
	CLEANUP(buf_free) struct buf line = BUF_INIT(101);
	bool cut;

	assert_true(stream_read_line(s->stream, &line, 100, &cut) > 0);
	assert_int_equal(stream_write_str(s->stream, STR("bye")), 0);
	assert_int_equal(stream_flush_last(s->stream), 0);
}

/* What the peer sees before the close of a stream that had this to read. */
static ssize_t seen_before_the_close(const char *said)
{
	struct scene s = {.timeout_ms = 1000, .result = -1};
	CLEANUP(file_close) int listener = listen_somewhere("127.0.0.1", &s.to);
	CLEANUP(file_close) int accepted = -1;
	struct net_address peer;
	char text[10];

	run_main(do_connect, &s);
	assert_int_equal(s.result, 0);
	accepted = net_accept(listener, &peer);
	assert_true(accepted >= 0);
	assert_int_equal(write(accepted, said, strlen(said)), strlen(said));
	run_main(say_last, &s);
	ssize_t early = recv(accepted, text, sizeof(text), MSG_DONTWAIT);
	stream_free(s.stream);
	if (early < 0)
		assert_int_equal(file_read_some(accepted, text, sizeof(text)), 3);
	return early;
}

TEST(stream_last_bytes_leave_with_the_close_unless_that_would_be_a_reset)
{
	assert_int_equal(seen_before_the_close("quit\n"), MSG_MORE != 0 ? -1 : 3);
	assert_int_equal(seen_before_the_close("quit\nmore"), 3);
}
