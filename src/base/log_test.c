#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log_file.h"
#include "base/log_syslog.h"
#include "base/panic.h"
#include "unit.h"

static void to_memory(void)
{
	assert_int_equal(log_open(LOG_SINK_MEMORY, "postfix/test", NULL), 0);
	log_memory_clear();
}

/* Puts things back as other tests expect them. */
static void to_stderr(void)
{
	clock_fake_stop();
	assert_int_equal(log_open(LOG_SINK_STDERR, "test", NULL), 0);
}

TEST(log_levels_have_their_words)
{
	to_memory();
	log_info("connect from %s", "a");
	log_warning("w");
	log_error("e");
	log_debug("unseen");
	log_line(LOG_LEVEL_DEBUG, "unseen");
	log_verbose(1);
	log_debug("seen");
	log_verbose(0);
	assert_str(log_memory(), "connect from a\nwarning: w\nerror: e\nseen\n");
	to_stderr();
}

TEST(log_lets_no_control_byte_through)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
	    {"a\nb\r\tc\x1b[0m\x7f", "a?b??c?[0m?"},
	    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xa7",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xa7"},
	    {"\xff\xc3(\xc0\xaf",
		"?"
		"?(?"
		"?"},
	    {"c1 \xc2\x9b nbsp \xc2\xa0", "c1 ?? nbsp \xc2\xa0"},
	    {"cut \xe2\x82", "cut ??"},
	    {"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct str line;
		to_memory();
		log_info("%s", rows[i].text);
		line = log_memory();
		line.len--;
		assert_str(line, rows[i].shown);
	}
	to_stderr();
}

TEST(log_cuts_lines_at_the_limit)
{
	to_memory();
	log_warning("%9000d", 1);
	assert_int_equal(log_memory().len, LOG_LINE_MAX + 1);
	to_stderr();
}

static void expect_file(const char *path, const char *format)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(100000), expected = BUF_INIT(100000);
	char host[256];

	assert_int_equal(gethostname(host, sizeof(host)), 0);
	host[strcspn(host, ".")] = '\0';
	buf_printf(&expected, format, host, (int)getpid(), host, (int)getpid());
	assert_int_equal(file_read_whole(AT_FDCWD, path, &text), 0);
	assert_str(buf_str(&text), buf_cstr(&expected));
}

TEST(log_file_lines_have_time_host_tag_and_pid)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);
	struct stat status;

	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	tzset();
	buf_printf(&path, "%s/log", unit_directory());
	assert_int_equal(log_open(LOG_SINK_FILE, "postfix/smtpd", buf_cstr(&path)), 0);
	clock_fake_start(1795318146);
	log_info("one");
	expect_file(buf_cstr(&path), "");
	clock_fake_advance_ms(1000);
	log_info("two");
	log_flush();
	expect_file(buf_cstr(&path),
	    "Nov 22 03:29:06 %s postfix/smtpd[%d]: one\n"
	    "Nov 22 03:29:07 %s postfix/smtpd[%d]: two\n");
	assert_int_equal(stat(buf_cstr(&path), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	to_stderr();
}

/* What a daemon says while it reads where its log is. */
TEST(log_lines_that_wait_for_syslog_go_to_the_file_that_is_opened_next)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);

	buf_printf(&path, "%s/early-log", unit_directory());
	log_syslog_path("/nonexistent/log");
	assert_int_equal(log_open(LOG_SINK_SYSLOG, "postfix/smtpd", NULL), 0);
	clock_fake_start(1795318146);
	log_warning("a name is set twice");
	clock_fake_advance_ms(1000);
	log_info("two");
	assert_int_equal(log_open(LOG_SINK_FILE, "postfix/smtpd", buf_cstr(&path)), 0);
	log_flush();
	expect_file(buf_cstr(&path),
	    "Nov 22 03:29:06 %s postfix/smtpd[%d]: warning: a name is set twice\n"
	    "Nov 22 03:29:07 %s postfix/smtpd[%d]: two\n");
	log_syslog_path("/dev/log");
	to_stderr();
}

TEST(log_reopens_its_file_after_rotation)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200), old = BUF_INIT(200);

	buf_printf(&path, "%s/log", unit_directory());
	buf_printf(&old, "%s.1", buf_cstr(&path));
	assert_int_equal(log_open(LOG_SINK_FILE, "t", buf_cstr(&path)), 0);
	clock_fake_start(1795318146);
	log_info("one");
	assert_int_equal(rename(buf_cstr(&path), buf_cstr(&old)), 0);
	assert_int_equal(log_reopen(), 0);
	log_info("two");
	log_flush();
	expect_file(buf_cstr(&old), "Nov 22 03:29:06 %s t[%d]: one\n");
	expect_file(buf_cstr(&path), "Nov 22 03:29:06 %s t[%d]: two\n");
	assert_int_equal(log_open(LOG_SINK_FILE, "t", "/no/such/file"), -ENOENT);
	to_stderr();
}

TEST(log_writes_many_lines_when_its_room_is_full)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200), text = BUF_INIT(1 << 20);
	size_t lines = 0;

	buf_printf(&path, "%s/log", unit_directory());
	assert_int_equal(log_open(LOG_SINK_FILE, "t", buf_cstr(&path)), 0);
	for (int i = 0; i < 2000; i++)
		log_info("%100d", i);
	log_flush();
	assert_int_equal(file_read_whole(AT_FDCWD, buf_cstr(&path), &text), 0);
	for (size_t i = 0; i < text.len; i++)
		lines += text.p[i] == '\n';
	assert_int_equal(lines, 2000);
	to_stderr();
}

TEST(log_counts_the_lines_that_a_full_disk_lost)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);

	buf_printf(&path, "%s/log", unit_directory());
	assert_int_equal(symlink("/dev/full", buf_cstr(&path)), 0);
	assert_int_equal(log_open(LOG_SINK_FILE, "t", buf_cstr(&path)), 0);
	clock_fake_start(1795318146);
	log_info("lost");
	log_info("lost too");
	log_flush();
	assert_int_equal(unlink(buf_cstr(&path)), 0);
	assert_int_equal(log_reopen(), 0);
	log_info("kept");
	log_flush();
	log_flush();
	expect_file(buf_cstr(&path),
	    "Nov 22 03:29:06 %s t[%d]: kept\n"
	    "Nov 22 03:29:06 %s t[%d]: warning: 2 log lines were lost: "
	    "No space left on device\n");
	to_stderr();
}

static int fake_syslog(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(
	    str_to_cstr(str_of(path), address.sun_path, sizeof(address.sun_path)));
	(void)unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void expect_datagram(int fd, const char *format)
{
	CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
	char bytes[1000];
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

	assert_true(got > 0);
	buf_printf(&expected, format, (int)getpid());
	assert_str(((struct str){bytes, (size_t)got}), buf_cstr(&expected));
}

TEST(log_sends_one_datagram_a_line_to_syslog_and_comes_back_to_a_new_one)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);
	CLEANUP(file_close) int first = -1;
	CLEANUP(file_close) int second = -1;

	buf_printf(&path, "%s/dev-log", unit_directory());
	log_syslog_path(buf_cstr(&path));
	assert_int_equal(log_open(LOG_SINK_SYSLOG, "postfix/qmgr", NULL), 0);
	clock_fake_start(1795318146);
	log_info("before the daemon is there");
	log_flush();
	first = fake_syslog(buf_cstr(&path));
	log_info("text");
	log_error("trouble");
	assert_int_equal(log_set_facility("local3"), 0);
	assert_int_equal(log_set_facility("what"), -EINVAL);
	log_warning("careful");
	assert_int_equal(log_set_facility("mail"), 0);
	log_flush();
	expect_datagram(first, "<22>Nov 22 03:29:06 postfix/qmgr[%d]: text");
	expect_datagram(first, "<19>Nov 22 03:29:06 postfix/qmgr[%d]: error: trouble");
	expect_datagram(first, "<156>Nov 22 03:29:06 postfix/qmgr[%d]: warning: careful");
	second = fake_syslog(buf_cstr(&path));
	file_close(&first);
	log_info("to the new one");
	log_flush();
	expect_datagram(second,
	    "<20>Nov 22 03:29:06 postfix/qmgr[%d]: warning: 1 log lines were "
	    "lost: No such file or directory");
	expect_datagram(second, "<22>Nov 22 03:29:06 postfix/qmgr[%d]: to the new one");
	to_stderr();
	log_syslog_path("/dev/log");
}

static struct buf relayed = {.ceiling = 1000};
static bool relay_works;

static bool take_relayed(enum log_level level, struct str tag, struct str text)
{
	if (relay_works)
		buf_printf(
		    &relayed, "%d %.*s %.*s\n", (int)level, STR_ARG(tag), STR_ARG(text));
	return relay_works;
}

TEST(log_relay_gets_level_tag_and_text)
{
	relay_works = true;
	assert_int_equal(log_open(LOG_SINK_RELAY, "postfix/postlog", NULL), 0);
	log_relay_to(take_relayed);
	log_warning("x");
	assert_str(buf_str(&relayed), "2 postfix/postlog warning: x\n");
	buf_free(&relayed);
	to_stderr();
	log_relay_to(NULL);
}

TEST(log_goes_to_syslog_from_the_line_on_that_the_relay_does_not_take)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);
	CLEANUP(file_close) int fd = -1;

	relay_works = false;
	buf_printf(&path, "%s/dev-log", unit_directory());
	log_syslog_path(buf_cstr(&path));
	fd = fake_syslog(buf_cstr(&path));
	clock_fake_start(1795318146);
	assert_int_equal(log_open(LOG_SINK_RELAY, "postfix/postdrop", NULL), 0);
	log_relay_to(take_relayed);
	log_warning("first %d", 1);
	log_info("second");
	log_flush();
	expect_datagram(fd, "<20>Nov 22 03:29:06 postfix/postdrop[%d]: warning: first 1");
	expect_datagram(fd, "<22>Nov 22 03:29:06 postfix/postdrop[%d]: second");
	assert_int_equal(relayed.len, 0);
	to_stderr();
	log_relay_to(NULL);
	log_syslog_path("/dev/log");
}

TEST(log_lines_of_another_process_have_its_tag_and_pid_and_no_control_bytes)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200);

	buf_printf(&path, "%s/log", unit_directory());
	assert_int_equal(log_open(LOG_SINK_FILE, "postfix/postlogd", buf_cstr(&path)), 0);
	clock_fake_start(1795318146);
	log_foreign(LOG_LEVEL_INFO, STR("tag\n"), (long)getpid(), STR("a\nb"));
	log_info("own");
	log_flush();
	expect_file(buf_cstr(&path),
	    "Nov 22 03:29:06 %s tag?[%d]: a?b\n"
	    "Nov 22 03:29:06 %s postfix/postlogd[%d]: own\n");
	to_stderr();
}

TEST(log_goes_on_in_a_file_that_was_opened_elsewhere_and_lets_go_of_the_old_one)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200), old = BUF_INIT(200);
	CLEANUP(file_close) int held = -1;
	int fd;

	buf_printf(&path, "%s/log", unit_directory());
	buf_printf(&old, "%s.1", buf_cstr(&path));
	assert_int_equal(log_open(LOG_SINK_FILE, "t", buf_cstr(&path)), 0);
	clock_fake_start(1795318146);
	assert_false(log_is_moved());
	log_info("one");
	assert_int_equal(rename(buf_cstr(&path), buf_cstr(&old)), 0);
	assert_true(log_is_moved());
	held = file_open_following(buf_cstr(&old), O_RDONLY, 0);
	assert_int_equal(file_try_lock(held, FILE_LOCK_EXCLUSIVE), -EWOULDBLOCK);
	fd = log_file_open(buf_cstr(&path));
	assert_true(fd >= 0);
	log_adopt(fd);
	assert_int_equal(log_descriptor(), fd);
	assert_false(log_is_moved());
	assert_int_equal(file_try_lock(held, FILE_LOCK_EXCLUSIVE), 0);
	log_info("two");
	log_flush();
	expect_file(buf_cstr(&old), "Nov 22 03:29:06 %s t[%d]: one\n");
	expect_file(buf_cstr(&path), "Nov 22 03:29:06 %s t[%d]: two\n");
	to_stderr();
	assert_int_equal(log_descriptor(), -1);
}

static void flood_standard_output(UNUSED void *argument)
{
	ENSURE(dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO);
	ENSURE(log_open(LOG_SINK_STDOUT, "t", NULL) == 0);
	for (int i = 0; i < 100; i++)
		log_info("%c%06000d%c", '<', i, '>');
	for (int i = 0; i < 100; i++)
		log_info("%c%0300d%c", '<', i, '>');
	log_flush();
	_exit(0);
}

/* A pipe takes PIPE_BUF bytes at once; each write ends with a line, so reads do, too. */
TEST(log_lines_on_a_pipe_are_written_whole)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1 << 21);
	struct str rest, line;
	size_t lines = 0, whole = 0;

	assert_int_equal(unit_in_child(flood_standard_output, NULL, &output), 0);
	rest = buf_str(&output);
	while (str_next(&rest, "\n", &line)) {
		lines++;
		assert_true(line.len < PIPE_BUF);
		whole += str_ends(line, STR(">"));
	}
	assert_int_equal(lines, 200);
	assert_int_equal(whole, 100);
}

static void speak(void *argument)
{
	const char *name = argument;

	assert_int_equal(log_open(LOG_SINK_MEMORY, "postfix/postqueue", NULL), 0);
	log_stderr_name(name);
	log_also_stderr(true);
	log_warning("one");
	assert_int_equal(log_open(LOG_SINK_STDERR, "postfix/postqueue", NULL), 0);
	log_info("two");
	_exit(0);
}

TEST(log_on_standard_error_shows_the_program)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);
	char name[] = "other";

	assert_int_equal(unit_in_child(speak, NULL, &output), 0);
	assert_str(buf_str(&output), "postqueue: warning: one\npostqueue: two\n");
	buf_clear(&output);
	assert_int_equal(unit_in_child(speak, name, &output), 0);
	assert_str(buf_str(&output), "other: warning: one\nother: two\n");
}

static void say_last(void)
{
	(void)!write(STDERR_FILENO, "last words\n", 11);
}

static void break_invariant(UNUSED void *argument)
{
	panic_last_words(say_last);
	ENSURE(1 > 2);
}

static void give_up(UNUSED void *argument)
{
	panic_last_words(say_last);
	fatal_exit_status(75);
	fatal("no %s", "queue");
}

static void worry(void)
{
	panic("in the last words");
}

static void give_up_twice(UNUSED void *argument)
{
	panic_last_words(worry);
	fatal("first");
}

TEST(panic_and_fatal_speak_flush_and_end_the_process)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);
	int status = unit_in_child(break_invariant, NULL, &output);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_true(str_find_str(buf_str(&output), STR("panic: ")) >= 0);
	assert_true(str_find_str(buf_str(&output), STR("log_test.c:")) >= 0);
	assert_true(
	    str_ends(buf_str(&output), STR(": broken invariant: 1 > 2\nlast words\n")));
	buf_clear(&output);
	status = unit_in_child(give_up, NULL, &output);
	assert_int_equal(WEXITSTATUS(status), 75);
	assert_true(str_ends(buf_str(&output), STR("fatal: no queue\nlast words\n")));
	buf_clear(&output);
	status = unit_in_child(give_up_twice, NULL, &output);
	assert_int_equal(WEXITSTATUS(status), 134);
	assert_true(str_find_str(buf_str(&output), STR("fatal: first\n")) >= 0);
}

static void fork_with_pending_lines(void *argument)
{
	const char *path = argument;

	assert_int_equal(log_open(LOG_SINK_FILE, "t", path), 0);
	log_info("of the parent");
	if (fork() == 0) {
		log_info("of the child");
		exit(0);
	}
	(void)wait(NULL);
	exit(0);
}

TEST(log_lines_are_not_written_twice_after_a_fork)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(200), text = BUF_INIT(2000);
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);
	struct str rest, line;
	int lines = 0;

	buf_printf(&path, "%s/log", unit_directory());
	assert_int_equal(unit_in_child(fork_with_pending_lines, path.p, &output), 0);
	assert_int_equal(file_read_whole(AT_FDCWD, buf_cstr(&path), &text), 0);
	rest = buf_str(&text);
	while (str_next(&rest, "\n", &line))
		lines++;
	assert_int_equal(lines, 2);
	assert_true(str_ends(buf_str(&text), STR("of the parent\n")));
}
