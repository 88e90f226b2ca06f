#include "run/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

struct scene {
	int fds[2];
	struct run_watch *watch;
	int results[8];
	int count;
	int64_t deadline;
};

static void note(struct scene *s, int result)
{
	s->results[s->count++] = result;
}

static void open_scene(struct scene *s)
{
	*s = (struct scene){.deadline = CLOCK_NEVER};
	run_init();
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->fds),
	    0);
	s->watch = run_watch_new(s->fds[0]);
}

static void close_scene(struct scene *s)
{
	run_watch_free(s->watch);
	(void)close(s->fds[0]);
	(void)close(s->fds[1]);
	run_loop();
}

static void wait_readable(void *argument)
{
	struct scene *s = argument;

	note(s, run_wait_readable(s->watch, s->deadline));
}

static void start(void (*body)(void *), struct scene *s)
{
	if (fiber_start("test", body, s) != 0)
		abort();
}

static void read_when_ready(void *argument)
{
	struct scene *s = argument;
	char c;

	start(wait_readable, s);
	fiber_yield();
	note(s, 100); /* still waiting */
	(void)!write(s->fds[1], "x", 1);
	fiber_sleep_ms(5);
	(void)!read(s->fds[0], &c, 1);
	note(s, run_wait_readable(s->watch, deadline_after_ms(5)));
	(void)!write(s->fds[1], "x", 1);
	note(s, run_wait_readable(s->watch, deadline_after_ms(1000)));
	note(s, run_wait_writable(s->watch, deadline_after_ms(1000)));
}

TEST(wait_ends_when_the_descriptor_is_ready_or_the_deadline_passes)
{
	struct scene s;

	open_scene(&s);
	run_main(read_when_ready, &s);
	assert_int_equal(s.results[0], 100);
	assert_int_equal(s.results[1], 0);
	assert_int_equal(s.results[2], -ETIMEDOUT);
	assert_int_equal(s.results[3], 0);
	assert_int_equal(s.results[4], 0);
	assert_int_equal(s.count, 5);
	close_scene(&s);
}

static void wait_past_deadline(void *argument)
{
	struct scene *s = argument;

	(void)!write(s->fds[1], "x", 1);
	s->results[0] = run_wait_readable(s->watch, clock_ms() - 1);
}

TEST(wait_with_a_past_deadline_still_sees_what_is_ready)
{
	struct scene s;

	open_scene(&s);
	run_main(wait_past_deadline, &s);
	assert_int_equal(s.results[0], 0);
	close_scene(&s);
}

static void wait_both_ways(void *argument)
{
	struct scene *s = argument;
	char bytes[4096] = {0};

	while (write(s->fds[0], bytes, sizeof(bytes)) > 0)
		continue;
	start(wait_readable, s);
	fiber_yield();
	note(s, run_wait_writable(s->watch, deadline_after_ms(5)));
	while (read(s->fds[1], bytes, sizeof(bytes)) > 0)
		continue;
	note(s, run_wait_writable(s->watch, deadline_after_ms(1000)));
	(void)!write(s->fds[1], "x", 1);
	fiber_sleep_ms(5);
}

TEST(wait_serves_a_reader_and_a_writer)
{
	struct scene s;

	open_scene(&s);
	run_main(wait_both_ways, &s);
	assert_int_equal(s.results[0], -ETIMEDOUT);
	assert_int_equal(s.results[1], 0);
	assert_int_equal(s.results[2], 0);
	assert_int_equal(s.count, 3);
	close_scene(&s);
}

static void cancel_it(void *argument)
{
	struct scene *s = argument;

	start(wait_readable, s);
	fiber_yield();
	run_watch_cancel(s->watch);
	fiber_yield();
	note(s, run_wait_readable(s->watch, CLOCK_NEVER));
}

TEST(wait_canceled_ends_now_and_forever)
{
	struct scene s;

	open_scene(&s);
	run_main(cancel_it, &s);
	assert_int_equal(s.results[0], -ECANCELED);
	assert_int_equal(s.results[1], -ECANCELED);
	close_scene(&s);
}

static void lose_the_peer(void *argument)
{
	struct scene *s = argument;

	start(wait_readable, s);
	fiber_yield();
	(void)close(s->fds[1]);
	s->fds[1] = -1;
	fiber_sleep_ms(5);
	note(s, run_wait_readable(s->watch, deadline_after_ms(1000)));
}

TEST(wait_ends_when_the_peer_is_gone)
{
	struct scene s;

	open_scene(&s);
	run_main(lose_the_peer, &s);
	assert_int_equal(s.results[0], 0);
	assert_int_equal(s.results[1], 0);
	assert_int_equal(s.count, 2);
	close_scene(&s);
}

static void leave_unread(void *argument)
{
	struct scene *s = argument;

	start(wait_readable, s);
	fiber_yield();
	(void)!write(s->fds[1], "x", 1);
	fiber_sleep_ms(100); /* the byte is not read: readiness stays */
	note(s, run_wait_readable(s->watch, deadline_after_ms(1000)));
}

static int64_t cpu_ms(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	    (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

TEST(wait_does_not_spin_on_readiness_that_nobody_reads)
{
	struct scene s;
	int64_t before;

	open_scene(&s);
	before = cpu_ms();
	run_main(leave_unread, &s);
	assert_true(cpu_ms() - before < 50);
	assert_int_equal(s.results[0], 0);
	assert_int_equal(s.results[1], 0);
	close_scene(&s);
}

static void read_byte(void *argument)
{
	struct scene *s = argument;
	char c;

	note(s, (int)read(s->fds[0], &c, 1));
	if (s->count == 2)
		run_watch_on_readable(s->watch, NULL, NULL);
	else
		(void)!write(s->fds[1], "y", 1);
}

TEST(wait_callback_is_called_while_it_is_on_and_keeps_the_loop_alive)
{
	struct scene s;

	open_scene(&s);
	run_watch_on_readable(s.watch, read_byte, &s);
	assert_int_equal(write(s.fds[1], "x", 1), 1);
	run_loop();
	assert_int_equal(s.count, 2);
	assert_int_equal(s.results[0], 1);
	assert_int_equal(s.results[1], 1);
	assert_int_equal(write(s.fds[1], "z", 1), 1);
	run_loop();
	assert_int_equal(s.count, 2);
	close_scene(&s);
}

static void count_writable(void *argument)
{
	struct scene *s = argument;

	note(s, 1);
	run_watch_free(
	    s->watch); /* in its own callback, with a readable report to come */
	s->watch = NULL;
}

TEST(wait_callback_for_writing_may_free_the_watch)
{
	struct scene s;

	open_scene(&s);
	assert_int_equal(write(s.fds[1], "x", 1), 1);
	run_watch_on_readable(s.watch, read_byte, &s);
	run_watch_on_writable(s.watch, count_writable, &s);
	run_loop();
	assert_int_equal(s.count, 1);
	close_scene(&s);
}

static void add_dot(void *argument)
{
	note(argument, 1);
	run_watch_on_writable(((struct scene *)argument)->watch, NULL, NULL);
}

TEST(wait_callback_for_writing_is_called_when_there_is_room)
{
	struct scene s;
	char bytes[4096] = {0};

	open_scene(&s);
	while (write(s.fds[0], bytes, sizeof(bytes)) > 0)
		continue;
	run_watch_on_writable(s.watch, add_dot, &s);
	run_soon((void (*)(void *))run_stop, NULL);
	run_loop();
	assert_int_equal(s.count, 0);
	while (read(s.fds[1], bytes, sizeof(bytes)) > 0)
		continue;
	run_loop();
	assert_int_equal(s.count, 1);
	close_scene(&s);
}

TEST(wait_for_a_plain_file_is_short)
{
	struct scene s = {.deadline = CLOCK_NEVER};
	CLEANUP(file_close) int fd = file_open_following("/proc/self/exe", O_RDONLY, 0);

	run_init();
	s.results[0] = -1;
	s.watch = run_watch_new(fd);
	run_main(wait_readable, &s);
	assert_int_equal(s.results[0], 0);
	run_watch_free(s.watch);
	run_watch_free(NULL);
}
