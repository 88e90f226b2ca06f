#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "unit.h"

struct plan {
	const char *environment, *program;
	enum fault_point point;
	int expected[4];
};

static void follow(void *argument)
{
	const struct plan *plan = argument;

	(void)setenv("POSTHOUSE_FAULT", plan->environment, 1);
	if (plan->program != NULL)
		(void)setenv("POSTHOUSE_FAULT_PROGRAM", plan->program, 1);
	fault_init("smtpd");
	for (size_t i = 0; i < 4; i++)
		if (fault_hit(plan->point) != plan->expected[i])
			_exit(10 + (int)i);
}

static int outcome(struct plan plan, struct buf *output)
{
	return unit_in_child(follow, &plan, output);
}

TEST(fault_plans_come_from_the_environment)
{
	static const struct plan plans[] = {
	    {"fsync:3=EIO", NULL, FAULT_FSYNC, {0, 0, EIO, 0}},
	    {"fsync:3=EIO,write:2+=ENOSPC", NULL, FAULT_WRITE,
		{0, ENOSPC, ENOSPC, ENOSPC}},
	    {"fsync:3=EIO,write:2+=ENOSPC", NULL, FAULT_FSYNC, {0, 0, EIO, 0}},
	    {"malloc:1=ENOMEM", "smtpd", FAULT_MALLOC, {ENOMEM, 0, 0, 0}},
	    {"malloc:1=ENOMEM", "qmgr", FAULT_MALLOC, {0, 0, 0, 0}},
	    {"crash@rename:4", NULL, FAULT_LINK, {0, 0, 0, 0}},
	    {"", NULL, FAULT_LINK, {0, 0, 0, 0}},
	};
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
		assert_int_equal(outcome(plans[i], &output), 0);
	assert_str(buf_str(&output), "");
}

TEST(fault_crash_plans_kill_at_the_call)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);
	int status =
	    outcome((struct plan){"crash@rename:2", NULL, FAULT_RENAME, {0}}, &output);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

TEST(fault_plans_that_make_no_sense_are_fatal)
{
	static const char *const bad[] = {"fsync", "fsync:0=EIO", "fsync:x=EIO",
	    "fsync:1", "fsync:1=EWHAT", "what:1=EIO", "crash@what:1", "fsync:1++=EIO",
	    "fsync=EIO:1"};
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int status =
		    outcome((struct plan){bad[i], NULL, FAULT_FSYNC, {0}}, &output);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 1);
	}
	assert_true(str_starts(
	    buf_str(&output), STR("fatal: POSTHOUSE_FAULT: bad plan: fsync\n")));
}

TEST(memory_is_zeroed_and_copies_are_whole)
{
	CLEANUP(memory_free_cleanup) char *copy = memory_copy_cstr("text");
	CLEANUP(memory_free_cleanup) int *numbers = memory_alloc_array(100, sizeof(int));
	CLEANUP(memory_free_cleanup) void *nothing = memory_alloc(0);

	assert_string_equal(copy, "text");
	for (int i = 0; i < 100; i++)
		assert_int_equal(numbers[i], 0);
	assert_non_null(nothing);
	copy = memory_resize(copy, 100);
	assert_string_equal(copy, "text");
}

static void ask_too_much(UNUSED void *argument)
{
	free(memory_alloc_array(SIZE_MAX / 2, 3));
}

TEST(memory_sizes_that_overflow_are_fatal)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);

	assert_int_equal(WEXITSTATUS(unit_in_child(ask_too_much, NULL, &output)), 1);
	assert_true(str_starts(buf_str(&output), STR("fatal: out of memory: ")));
}

TEST(random_numbers_stay_below_their_bound)
{
	unsigned seen = 0;

	for (int i = 0; i < 1000; i++) {
		uint32_t value = random_below(5);
		assert_true(value < 5);
		seen |= 1U << value;
	}
	assert_int_equal(seen, 31);
	assert_int_equal(random_below(1), 0);
}

static void show_random(UNUSED void *argument)
{
	uint64_t bytes;

	random_bytes(&bytes, sizeof(bytes));
	(void)fprintf(stderr, "%llx", (unsigned long long)bytes);
}

TEST(random_numbers_differ_between_parent_and_child)
{
	CLEANUP(buf_free) struct buf one = BUF_INIT(100), two = BUF_INIT(100);
	char large[500] = {0}, zero[500] = {0};

	(void)random_u32(); /* the stock is filled before the fork */
	assert_int_equal(unit_in_child(show_random, NULL, &one), 0);
	assert_int_equal(unit_in_child(show_random, NULL, &two), 0);
	assert_false(str_equal(buf_str(&one), buf_str(&two)));
	random_bytes(large, sizeof(large));
	assert_memory_not_equal(large, zero, sizeof(large));
}
