#include "run/loop.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/fiber.h"
#include "run/signals.h"
#include "unit.h"

static struct buf trace = {.ceiling = 1000};

static void say(void *argument)
{
	buf_add_cstr(&trace, argument);
}

TEST(loop_ends_when_nothing_is_left)
{
	static char soon[] = "soon";

	buf_clear(&trace);
	run_init();
	run_soon(say, soon);
	run_loop();
	assert_str(buf_str(&trace), "soon");
	run_loop();
}

struct ticker {
	struct run_timer *timer;
	int left;
};

static void tick(void *argument)
{
	struct ticker *t = argument;

	say("t");
	if (--t->left > 0)
		run_timer_set(t->timer, deadline_after_ms(1));
}

TEST(loop_timers_fire_once_for_each_time_they_are_set)
{
	struct ticker t = {.left = 3};

	buf_clear(&trace);
	run_init();
	t.timer = run_timer_new(tick, &t);
	run_timer_set(t.timer, deadline_after_ms(5));
	run_loop();
	assert_str(buf_str(&trace), "ttt");
	run_timer_set(t.timer, deadline_after_ms(5));
	run_timer_set(t.timer, CLOCK_NEVER);
	run_loop();
	assert_str(buf_str(&trace), "ttt");
	run_timer_set(t.timer, deadline_after_ms(5));
	run_timer_free(t.timer);
	run_timer_free(NULL);
	run_loop();
	assert_str(buf_str(&trace), "ttt");
}

static void advance(void *argument)
{
	struct ticker *t = argument;

	run_timer_set(t->timer, deadline_after_seconds(600));
	fiber_yield();
	say(".");
	clock_fake_advance_ms(599999);
	fiber_yield();
	say(".");
	clock_fake_advance_ms(1);
	fiber_yield();
	say(".");
}

TEST(loop_timers_fire_when_the_fake_clock_advances)
{
	struct ticker t = {.left = 1};

	buf_clear(&trace);
	run_init();
	t.timer = run_timer_new(tick, &t);
	clock_fake_start(1000000000);
	run_main(advance, &t);
	clock_fake_stop();
	assert_str(buf_str(&trace), "..t.");
	run_timer_free(t.timer);
}

static void fire_again(void *argument)
{
	struct ticker *t = argument;

	run_timer_set(t->timer, clock_ms() - 1000);
}

static void wait_beside(UNUSED void *argument)
{
	fiber_sleep_ms(20);
	say(".");
}

TEST(loop_a_timer_that_is_always_due_leaves_the_others_their_turn)
{
	struct ticker always = {.timer = NULL}, other = {.left = 1};

	buf_clear(&trace);
	run_init();
	always.timer = run_timer_new(fire_again, &always);
	other.timer = run_timer_new(tick, &other);
	run_timer_set(always.timer, clock_ms() - 1000);
	run_timer_set(other.timer, deadline_after_ms(1));
	run_main(wait_beside, NULL);
	assert_str(buf_str(&trace), "t.");
	run_timer_free(always.timer);
	run_timer_free(other.timer);
}

static struct fiber *to_wake;
static bool hooks_on;

static void hook_log(void)
{
	if (hooks_on)
		say("l");
}

static void hook_frames(void)
{
	if (hooks_on)
		say("f");
	if (to_wake != NULL)
		fiber_wake(to_wake);
	to_wake = NULL;
}

static void sleep_until_hook(void *argument)
{
	int64_t *slept_ms = argument, start = clock_ms();

	to_wake = fiber_self();
	(void)fiber_sleep_until(deadline_after_seconds(5));
	*slept_ms = clock_ms() - start;
	hooks_on = false;
}

TEST(loop_hooks_run_in_order_of_rank_and_may_wake_fibers)
{
	int64_t slept_ms = -1;

	buf_clear(&trace);
	run_init();
	run_before_wait(10, hook_frames);
	run_before_wait(1, hook_log);
	hooks_on = true;
	run_main(sleep_until_hook, &slept_ms);
	assert_str(buf_str(&trace), "lf");
	assert_true(slept_ms >= 0 && slept_ms < 1000);
}

static int signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
}

static void wait_for_signal(UNUSED void *argument)
{
	(void)kill(getpid(), SIGUSR1);
	for (int i = 0; i < 1000 && signal_seen == 0; i++)
		fiber_sleep_ms(1);
}

TEST(loop_signals_arrive_as_events)
{
	run_init();
	run_ignore_signal(SIGPIPE);
	run_on_signal(SIGUSR1, on_signal);
	run_main(wait_for_signal, NULL);
	assert_int_equal(signal_seen, SIGUSR1);
	run_on_signal(SIGUSR1, NULL);
	assert_true(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
	assert_true(signal(SIGPIPE, SIG_IGN) == SIG_IGN);
}
