#include "run/fiber.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/panic.h"
#include "run/loop.h"
#include "run/signals.h"
#include "run/stack.h"
#include "run/wait.h"
#include "unit.h"

#ifdef __SANITIZE_THREAD__
#define MANY 500 /* each costs it more than a megabyte */
#else
#define MANY 10000
#endif

static struct buf trace = {.ceiling = 10000};

static void say(void *argument)
{
	buf_add_cstr(&trace, argument);
}

static bool said(const char *text)
{
	return str_find_str(buf_str(&trace), str_of(text)) >= 0;
}

static void say_three_times(void *argument)
{
	for (int i = 0; i < 3; i++) {
		say(argument);
		fiber_yield();
	}
}

static void start_three(UNUSED void *argument)
{
	static char a[] = "a", b[] = "b", c[] = "c";

	if (fiber_start("a", say_three_times, a) != 0 ||
	    fiber_start("b", say_three_times, b) != 0 ||
	    fiber_start("c", say_three_times, c) != 0)
		say("no stack");
	say("m");
	while (fiber_count() > 1)
		fiber_yield();
}

TEST(fibers_take_turns)
{
	buf_clear(&trace);
	run_main(start_three, NULL);
	assert_str(buf_str(&trace), "mabcabcabc");
	assert_int_equal(fiber_count(), 0);
	assert_null(fiber_self());
}

struct sleeper {
	int64_t deadline;
	struct fiber *fiber;
	enum fiber_wait outcome;
	int64_t slept_ms;
	bool done;
};

static void sleep_once(void *argument)
{
	struct sleeper *s = argument;
	int64_t start = clock_ms();

	s->fiber = fiber_self();
	s->outcome = fiber_sleep_until(s->deadline);
	s->slept_ms = clock_ms() - start;
	s->done = true;
}

TEST(fiber_deadline_fires_in_real_time)
{
	struct sleeper s = {.deadline = deadline_after_ms(30)};

	run_main(sleep_once, &s);
	assert_int_equal(s.outcome, FIBER_TIMEOUT);
	assert_true(s.slept_ms >= 29 && s.slept_ms < 1000);
}

static void spin_to(long part_of_millisecond_ns)
{
	struct timespec now;

	do {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_nsec % 1000000 < part_of_millisecond_ns);
}

static void sleep_over_the_edge(void *argument)
{
	for (long i = 0; i < 100; i++) {
		spin_to(997000 + i * 30);
		(void)fiber_sleep_until(clock_ms() + 1);
	}
	*(bool *)argument = true;
}

static void nothing(UNUSED void *argument)
{
}

/*
 * The deadline may pass after we have set the timer and before libuv waits; with
 * something else to wait for, it would wait without end.
 */
TEST(fiber_deadline_that_passes_just_before_the_wait_is_not_missed)
{
	bool done = false;
	int fds[2];
	struct run_watch *watch;

	run_init();
	assert_int_equal(pipe(fds), 0);
	watch = run_watch_new(fds[0]);
	run_watch_on_readable(watch, nothing, NULL);
	run_main(sleep_over_the_edge, &done);
	assert_true(done);
	run_watch_free(watch);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

TEST(fiber_deadline_in_the_past_fires_at_once)
{
	struct sleeper s = {.deadline = clock_ms() - 1};

	run_main(sleep_once, &s);
	assert_int_equal(s.outcome, FIBER_TIMEOUT);
}

static void advance_clock(void *argument)
{
	struct sleeper *s = argument;

	if (fiber_start("sleeper", sleep_once, s) != 0)
		return;
	for (int i = 0; i < 3; i++) {
		fiber_yield();
		buf_add_char(&trace, s->done ? 'd' : '.');
		clock_fake_advance_ms(1800 * 1000);
	}
	fiber_yield();
	buf_add_char(&trace, s->done ? 'd' : '.');
}

TEST(fiber_deadline_fires_when_the_fake_clock_advances)
{
	struct sleeper s = {0};

	buf_clear(&trace);
	clock_fake_start(1000000000);
	s.deadline = deadline_after_seconds(3600);
	run_main(advance_clock, &s);
	clock_fake_stop();
	assert_str(buf_str(&trace), "..dd");
	assert_int_equal(s.outcome, FIBER_TIMEOUT);
	assert_int_equal(s.slept_ms, 3600 * 1000);
}

static void wake_sleeper(void *argument)
{
	struct sleeper *s = argument;

	if (fiber_start("sleeper", sleep_once, s) != 0)
		return;
	fiber_yield();
	fiber_wake(s->fiber);
	fiber_wake(s->fiber);
	fiber_yield();
}

TEST(fiber_woken_before_its_deadline_says_so)
{
	struct sleeper s = {.deadline = deadline_after_seconds(3600)};

	run_main(wake_sleeper, &s);
	assert_true(s.done);
	assert_int_equal(s.outcome, FIBER_WOKEN);
}

static size_t awake, resident_kb;

static size_t resident_now(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	char text[200] = "";
	struct str rest, word = STR("0");
	uint64_t value = 0;

	if (file == NULL)
		return 0;
	(void)!fgets(text, sizeof(text), file);
	(void)fclose(file);
	rest = str_of(text);
	(void)str_next(&rest, " ", &word);
	(void)str_next(&rest, " ", &word);
	if (str_to_u64(word, &value))
		pages = (unsigned long)value;
	return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void sleep_a_moment(UNUSED void *argument)
{
	fiber_sleep_ms(60);
	awake++;
}

static void start_ten_thousand(UNUSED void *argument)
{
	size_t before = resident_now();

	for (int i = 0; i < MANY; i++)
		if (fiber_start("sleeper", sleep_a_moment, NULL) != 0)
			return;
	fiber_yield();
	resident_kb = resident_now() - before;
	while (fiber_count() > 1)
		fiber_sleep_ms(5);
}

TEST(fibers_sleep_by_ten_thousand_in_little_memory)
{
	awake = 0;
	run_main(start_ten_thousand, NULL);
	assert_int_equal(awake, MANY);
	if (fiber_stack_size() == 65536) /* not under a sanitizer */
		assert_true(resident_kb < 200 * 1024);
}

static struct fiber_queue queue;
static int64_t queue_deadline;

static void wait_in_queue(void *argument)
{
	enum fiber_wait outcome = fiber_queue_wait(&queue, queue_deadline);

	say(argument);
	buf_add_cstr(&trace, outcome == FIBER_WOKEN ? "+" : "-");
}

static void start_waiters(void)
{
	static char a[] = "a", b[] = "b", c[] = "c";

	fiber_queue_init(&queue);
	if (fiber_start("a", wait_in_queue, a) != 0 ||
	    fiber_start("b", wait_in_queue, b) != 0 ||
	    fiber_start("c", wait_in_queue, c) != 0)
		say("no stack");
	fiber_yield();
}

static void wake_in_order(UNUSED void *argument)
{
	queue_deadline = CLOCK_NEVER;
	start_waiters();
	fiber_queue_wake_one(&queue);
	fiber_yield();
	say(" ");
	fiber_queue_wake_all(&queue);
	fiber_yield();
	say(fiber_queue_empty(&queue) ? "." : "?");
}

TEST(fiber_queue_wakes_first_come_first)
{
	buf_clear(&trace);
	run_main(wake_in_order, NULL);
	assert_str(buf_str(&trace), "a+ b+c+.");
}

static void wake_at_the_deadline(UNUSED void *argument)
{
	queue_deadline = deadline_after_ms(1000);
	start_waiters();
	clock_fake_advance_ms(1000);
	/* The deadlines fire first in the next turn; the wake must still reach somebody.
	 */
	fiber_yield();
	fiber_queue_wake_one(&queue);
	fiber_yield();
	say(fiber_queue_empty(&queue) ? "." : "?");
}

TEST(fiber_queue_waiters_leave_at_their_deadline)
{
	buf_clear(&trace);
	clock_fake_start(1000000000);
	run_main(wake_at_the_deadline, NULL);
	clock_fake_stop();
	assert_true(said("a-") && said("b-") && said("c-") && said("."));
}

/* Runs between the firing of the deadlines and the fibers, in the same turn. */
static void wake_one_now(UNUSED void *argument)
{
	fiber_queue_wake_one(&queue);
}

static void wake_those_just_timed_out(UNUSED void *argument)
{
	queue_deadline = deadline_after_ms(1000);
	start_waiters();
	clock_fake_advance_ms(1000);
	run_soon(wake_one_now, NULL);
	fiber_yield();
}

TEST(fiber_queue_wake_is_not_lost_on_a_waiter_that_just_timed_out)
{
	buf_clear(&trace);
	clock_fake_start(1000000000);
	run_main(wake_those_just_timed_out, NULL);
	clock_fake_stop();
	assert_true(said("a+") && said("b-") && said("c-"));
}

static void use_stack(void *argument)
{
	volatile char bytes[20000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 'x';
	*(char *)argument = bytes[100];
}

TEST(fiber_stack_high_water_is_known)
{
	char c = 0;

	run_main(use_stack, &c);
	assert_int_equal(c, 'x');
	assert_true(fiber_stack_high_water() > 20000);
	assert_true(fiber_stack_high_water() < fiber_stack_size());
}

TEST(stack_used_deep_gives_its_memory_back)
{
	char *stack = stack_take();

	assert_non_null(stack);
	memset(stack + 64, 'x', stack_size() - 64);
	assert_int_equal(stack_depth(stack), stack_size() - 64);
	stack_give_back(stack);
	assert_ptr_equal(stack_take(), stack);
	assert_true(stack_depth(stack) <= 8192);
	stack_give_back(stack);
}

static void *taken[600];

TEST(stacks_run_out_with_a_plain_error)
{
	size_t count = 0;

	while (count < 600 && (taken[count] = stack_take()) != NULL)
		count++;
	fault_set(FAULT_MALLOC, 1, true, ENOMEM);
	assert_int_equal(fiber_start("none", say, NULL), -EAGAIN);
	fault_set(FAULT_MALLOC, 0, false, 0);
	while (count > 0)
		stack_give_back(taken[--count]);
}

static void overflow(void *argument)
{
	volatile char bytes[1000];

	bytes[0] = *(char *)argument;
	if (bytes[0] == 'x')
		overflow(argument);
	*(char *)argument = bytes[0];
}

static void run_overflow(UNUSED void *argument)
{
	char c = 'x';

	run_main(overflow, &c);
}

TEST(fiber_that_overflows_its_stack_dies_at_the_guard_page)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT((size_t)1 << 20);
	int status = unit_in_child(run_overflow, NULL, &output);

	assert_true(status != 0); /* SIGSEGV, or a report of the sanitizer */
}

static void wait_for_nothing(UNUSED void *argument)
{
	(void)fiber_sleep_until(CLOCK_NEVER);
}

static void run_stuck(UNUSED void *argument)
{
	run_on_signal(SIGCHLD, NULL); /* a signal might wake it */
	if (fiber_start("dreamer", wait_for_nothing, NULL) == 0)
		run_loop();
}

TEST(fibers_that_nothing_can_wake_are_a_panic)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(100000);
	int status = unit_in_child(run_stuck, NULL, &output);

	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	assert_true(str_find_str(buf_str(&output), STR("one is dreamer")) >= 0);
}

static void panic_inside(UNUSED void *argument)
{
	ENSURE(fiber_self() == NULL);
}

static void run_panic(UNUSED void *argument)
{
	if (fiber_start("worrier", panic_inside, NULL) == 0)
		run_loop();
}

TEST(fiber_is_named_when_it_panics)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(100000);
	int status = unit_in_child(run_panic, NULL, &output);

	assert_true(status != 0);
	assert_true(str_find_str(buf_str(&output), STR("in fiber \"worrier\"")) >= 0);
}
