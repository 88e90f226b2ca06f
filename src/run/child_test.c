#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/signals.h"
#include "unit.h"

static const int no_fds[] = {-1, -1, -1};
static char shell[] = "/bin/sh", dash_c[] = "-c";

struct scene {
	struct child_plan plan;
	int64_t timeout_ms;
	int result, status;
	pid_t pid;
	struct buf output;
};

/* Runs a shell command with a pipe as its standard output, in a fiber. */
static void run_scene(void *argument)
{
	struct scene *s = argument;
	int fds[2], inherited[4] = {-1, -1, -1, -1};
	char bytes[500];
	ssize_t got;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return;
	inherited[1] = fds[1];
	inherited[2] = fds[1];
	s->plan.fds = inherited;
	s->plan.fd_count = 3;
	s->pid = child_start(&s->plan);
	(void)close(fds[1]);
	s->result = s->pid < 0
	    ? s->pid
	    : child_wait(s->pid, deadline_after_ms(s->timeout_ms), &s->status);
	if (s->result == -ETIMEDOUT) {
		(void)kill(s->plan.new_group ? -s->pid : s->pid, SIGKILL);
		(void)!child_wait(s->pid, CLOCK_NEVER, &s->status);
	}
	while ((got = read(fds[0], bytes, sizeof(bytes))) > 0)
		buf_add(&s->output, bytes, (size_t)got);
	(void)close(fds[0]);
}

static struct scene command(char *text, struct child_plan plan)
{
	char *argv[] = {shell, dash_c, text, NULL};
	struct scene s = {.plan = plan, .timeout_ms = 5000, .output = BUF_INIT(10000)};

	s.plan.path = "/bin/sh";
	s.plan.argv = argv;
	run_main(run_scene, &s);
	return s;
}

TEST(child_output_and_exit_status_are_seen)
{
	char text[] = "echo hello; exit 3";
	struct scene s = command(text, (struct child_plan){0});

	assert_int_equal(s.result, 0);
	assert_true(WIFEXITED(s.status));
	assert_int_equal(WEXITSTATUS(s.status), 3);
	assert_str(buf_str(&s.output), "hello\n");
	buf_free(&s.output);
}

TEST(child_has_only_the_descriptors_of_its_plan)
{
	char text[] = "ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0";
	CLEANUP(file_close)
	int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec */
	struct scene s = command(text, (struct child_plan){0});

	assert_true(leaked >= 0);
	/* 3 is the directory that ls reads. */
	assert_str(buf_str(&s.output), "0 1 2 3 /dev/null\n");
	buf_free(&s.output);
}

TEST(child_starts_with_default_signals_directory_and_environment)
{
	char text[] = "pwd; echo $WHAT; kill -PIPE $$; echo survived";
	char what[] = "WHAT=that";
	char *environment[] = {what, NULL};
	struct scene s;

	run_ignore_signal(SIGPIPE);
	s = command(
	    text, (struct child_plan){.directory = "/usr", .environment = environment});
	assert_str(buf_str(&s.output), "/usr\nthat\n");
	assert_true(WIFSIGNALED(s.status));
	assert_int_equal(WTERMSIG(s.status), SIGPIPE);
	buf_free(&s.output);
}

/* How many of its signals are not at their defaults, or blocked. */
static int count_signals(UNUSED void *argument)
{
	sigset_t blocked;
	int count = 0;

	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction now = {.sa_handler = SIG_DFL};
		(void)sigaction(number, NULL, &now);
		count += now.sa_handler != SIG_DFL || sigismember(&blocked, number) > 0;
	}
	return count;
}

static int count_signals_in_child(void)
{
	const struct child_plan plan = {
	    .function = count_signals, .fds = no_fds, .fd_count = 3};
	pid_t pid = child_start(&plan);
	int status = -1;

	assert_true(pid > 0);
	assert_int_equal(child_wait(pid, CLOCK_NEVER, &status), 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void do_nothing(UNUSED int number)
{
}

TEST(child_has_default_signals_whatever_was_set_before_or_after_the_first_child)
{
	const int numbers[] = {SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGRTMAX};

	run_init();
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (i % 2 == 0)
			run_ignore_signal(numbers[i]);
		else
			run_on_signal(numbers[i], do_nothing);
		assert_true(count_signals(NULL) > (int)i);
		assert_int_equal(count_signals_in_child(), 0);
	}
	for (size_t i = 1; i < ARRAY_SIZE(numbers); i += 2)
		run_on_signal(numbers[i], NULL);
}

/* The test starts itself, in a process that finds signals ignored. */
TEST(child_has_default_signals_when_ours_were_ignored_from_the_start)
{
	char *again[] = {shell, "signals_when_ours_were_ignored_from_the_start", NULL};
	int status;
	pid_t pid;

	if (getenv("IGNORED_FROM_THE_START") != NULL) {
		assert_true(count_signals(NULL) > 20);
		assert_int_equal(count_signals_in_child(), 0);
		return;
	}
	pid = fork();
	if (pid == 0) {
		for (int number = 1; number <= SIGRTMAX; number++)
			if (number != SIGCHLD) /* else children could not be waited for */
				(void)signal(number, SIG_IGN);
		(void)setenv("IGNORED_FROM_THE_START", "", 1);
		(void)dup2(open("/dev/null", O_WRONLY), 1);
		(void)execv("/proc/self/exe", again);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

TEST(child_that_cannot_start_exits_127)
{
	char *argv[] = {shell, NULL};
	struct scene s = {.timeout_ms = 5000, .output = BUF_INIT(10000)};

	s.plan = (struct child_plan){.path = "/no/such/program", .argv = argv};
	run_main(run_scene, &s);
	assert_int_equal(WEXITSTATUS(s.status), 127);
	s.plan =
	    (struct child_plan){.path = "/bin/sh", .argv = argv, .directory = "/no/such"};
	run_main(run_scene, &s);
	assert_int_equal(WEXITSTATUS(s.status), 127);
	buf_free(&s.output);
}

TEST(child_that_takes_too_long_can_be_killed_with_its_group)
{
	char text[] = "sleep 60 & sleep 60";
	char *argv[] = {shell, dash_c, text, NULL};
	struct scene s = {.timeout_ms = 30, .output = BUF_INIT(10000)};

	s.plan = (struct child_plan){.path = "/bin/sh", .argv = argv, .new_group = true};
	run_main(run_scene, &s); /* reads to the end of file: both writers must be gone */
	assert_int_equal(s.result, -ETIMEDOUT);
	assert_true(WIFSIGNALED(s.status));
	assert_int_equal(WTERMSIG(s.status), SIGKILL);
	buf_free(&s.output);
}

static int return_seven(void *argument)
{
	(void)!write(1, argument, 2);
	return 7;
}

TEST(child_may_be_a_function)
{
	char text[] = "hi";
	struct scene s = {.timeout_ms = 5000, .output = BUF_INIT(100)};

	s.plan = (struct child_plan){.function = return_seven, .argument = text};
	run_main(run_scene, &s);
	assert_int_equal(WEXITSTATUS(s.status), 7);
	assert_str(buf_str(&s.output), "hi");
	buf_free(&s.output);
}

TEST(child_takes_the_identity_of_its_plan)
{
	char text[] = "id -u; id -g; id -G";
	struct scene s;

	if (geteuid() != 0)
		skip();
	s = command(
	    text, (struct child_plan){.set_ids = true, .uid = 65534, .gid = 65533});
	assert_str(buf_str(&s.output), "65534\n65533\n65533\n");
	buf_free(&s.output);
}

TEST(child_fork_failure_is_passed_up)
{
	struct child_plan plan = {.function = return_seven, .fds = no_fds, .fd_count = 3};

	fault_set(FAULT_FORK, 1, false, EAGAIN);
	assert_int_equal(child_start(&plan), -EAGAIN);
	fault_set(FAULT_FORK, 0, false, 0);
}

static int nap(void *argument)
{
	(void)usleep(*(unsigned *)argument);
	return 4;
}

TEST(child_wait_without_a_fiber_blocks)
{
	unsigned nap_us = 20000;
	struct child_plan plan = {
	    .function = nap, .argument = &nap_us, .fds = no_fds, .fd_count = 3};
	pid_t pid = child_start(&plan);
	int status = -1;

	assert_true(pid > 0);
	assert_int_equal(child_wait(pid, deadline_after_ms(2), &status), -ETIMEDOUT);
	assert_int_equal(status, -1);
	assert_int_equal(child_wait(pid, CLOCK_NEVER, &status), 0);
	assert_int_equal(WEXITSTATUS(status), 4);
	assert_int_equal(child_wait(pid, CLOCK_NEVER, &status), -ECHILD);
}

static int ends_seen;

static void count_end(void *argument, pid_t pid, int status)
{
	pid_t *expected = argument;

	if (*expected == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4)
		ends_seen++;
}

TEST(children_are_each_reported_once_by_their_pid)
{
	unsigned naps_us[] = {0, 15000, 5000, 0};
	pid_t pids[4], other;
	struct child_plan plan = {.function = nap, .fds = no_fds, .fd_count = 3};
	int status;

	run_init();
	for (int i = 0; i < 4; i++) {
		plan.argument = &naps_us[i];
		pids[i] = child_start(&plan);
		assert_true(pids[i] > 0);
		child_on_exit(pids[i], count_end, &pids[i]);
	}
	plan.argument = &naps_us[0];
	other = child_start(&plan); /* nobody asked for this one: it must not be reaped */
	run_loop();
	assert_int_equal(ends_seen, 4);
	assert_int_equal(waitpid(other, &status, 0), other);
}
