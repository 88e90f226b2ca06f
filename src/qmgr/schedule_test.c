#include "qmgr/schedule.h"

#include <stdlib.h>
#include "base/clock.h"
#include "qmgr/schedule_world.h"
#include "unit.h"

TEST(feedback_is_a_number_maybe_over_the_concurrency)
{
	struct schedule_feedback f;
	assert_true(schedule_feedback_parse(STR("1"), &f));
	assert_true(f.amount >= 1 && f.by == SCHEDULE_CONSTANT);
	assert_true(schedule_feedback_parse(STR("0.25/concurrency"), &f));
	assert_true(f.amount < 0.26 && f.amount > 0.24 && f.by == SCHEDULE_BY_WINDOW);
	assert_true(schedule_feedback_parse(STR(" 1 / sqrt_concurrency "), &f));
	assert_true(f.by == SCHEDULE_BY_ROOT);
	static const char *const bad[] = {"", "1.5", "x", "1/", "1/x", "/concurrency",
	    ".", "-1", "1e0", "000000000000000000000000"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(schedule_feedback_parse(str_of(bad[i]), &f));
}

/* The width after `count` deliveries that all went the same way, each alone in a window
 * that is used up. */
static int64_t window_after(
    struct schedule_limits limits, int64_t start, int count, enum schedule_outcome how)
{
	struct schedule_transport t;
	struct schedule_destination d;
	struct schedule_job j;
	struct schedule_entry e;
	schedule_transport_init(&t, &limits);
	schedule_destination_init(&d, &t);
	schedule_job_init(&j, &t, 0);
	d.window = start;
	for (int i = 0; i < count; i++) {
		schedule_add(&e, &j, &d);
		assert_ptr_equal(schedule_next(&t, 0), &e);
		d.under_way = d.window;
		t.under_way = 1;
		assert_false(schedule_done(&e, how, 0));
		d.under_way = 0;
	}
	int64_t window = d.window;
	schedule_destination_free(&d);
	world_forget_transport(&t);
	return window;
}

TEST(windows_follow_the_feedback)
{
	struct schedule_limits l = WORLD_LIMITS;
	l.failed_cohorts = 0;
	assert_int_equal(window_after(l, 5, 3, SCHEDULE_REACHED), 8);
	assert_int_equal(window_after(l, 5, 100, SCHEDULE_REACHED), 20);
	assert_int_equal(window_after(l, 7, 1, SCHEDULE_UNREACHED), 5);
	assert_int_equal(window_after(l, 7, 3, SCHEDULE_UNREACHED), 3);
	assert_int_equal(window_after(l, 5, 100, SCHEDULE_UNREACHED), 1);
	assert_int_equal(window_after(l, 5, 100, SCHEDULE_UNTRIED), 5);
	assert_true(schedule_feedback_parse(STR("1/concurrency"), &l.positive));
	l.negative = l.positive;
	assert_int_equal(window_after(l, 5, 4, SCHEDULE_REACHED), 5);
	assert_int_equal(window_after(l, 5, 5, SCHEDULE_REACHED), 6);
	assert_int_equal(window_after(l, 5, 1, SCHEDULE_UNREACHED), 4);
	assert_int_equal(window_after(l, 5, 3, SCHEDULE_UNREACHED), 4);
	assert_int_equal(window_after(l, 5, 4, SCHEDULE_UNREACHED), 3);
	assert_true(schedule_feedback_parse(STR("1/sqrt_concurrency"), &l.positive));
	assert_int_equal(window_after(l, 4, 1, SCHEDULE_REACHED), 4);
	assert_int_equal(window_after(l, 4, 2, SCHEDULE_REACHED), 5);
}

/* A list of 100,000 for one domain, and a message of one recipient each second. */
static int64_t longest_wait(struct schedule_limits limits, bool same_domain)
{
	struct world *w = world_new(&limits, 2);
	world_message(w, 0, 100000, 0, 1);
	for (int i = 1; i <= 100; i++)
		world_message(w, i * 1000, 1, same_domain ? 0 : 1, 1);
	world_run(w, 2000000);
	int64_t longest = 0;
	for (size_t i = 1; i <= 100; i++) {
		int64_t waited = world_started(w, i) - (int64_t)i * 1000;
		assert_true(waited >= 0);
		longest = waited > longest ? waited : longest;
	}
	world_free(w);
	return longest;
}

/* Bound: one delivery's time, 100 ms here, until the next place is free. */
TEST(a_list_of_100000_does_not_hold_up_a_single_message)
{
	struct schedule_limits l = WORLD_LIMITS;
	assert_true(longest_wait(l, true) <= WORLD_DELIVERY_MS);
	l.under_way = 10;
	assert_true(longest_wait(l, false) <= WORLD_DELIVERY_MS);
}

TEST(half_the_size_is_enough_to_overtake)
{
	struct schedule_limits l = WORLD_LIMITS;
	l.under_way = 1;
	l.slot_cost = 2;
	l.minimum_slots = 1;
	struct world *w = world_new(&l, 1);
	world_message(w, 0, 7, 0, 1);
	world_message(w, 50, 4, 0, 1);
	world_run(w, 100000);
	assert_int_equal(world_started(w, 1), WORLD_DELIVERY_MS);
	assert_int_equal(world_finished(w, 0), 11 * WORLD_DELIVERY_MS);
	world_free(w);
}

/* Of a large message few recipients may be in memory. */
TEST(what_comes_later_counts_for_who_is_small)
{
	for (int64_t later = 0; later <= 1000; later += 1000) {
		struct schedule_limits l = WORLD_LIMITS;
		struct schedule_transport t;
		struct schedule_destination d;
		struct schedule_job big, other;
		struct schedule_entry first[100], second;
		schedule_transport_init(&t, &l);
		schedule_destination_init(&d, &t);
		schedule_job_init(&big, &t, 0);
		schedule_job_init(&other, &t, 1);
		for (size_t i = 0; i < 100; i++)
			schedule_add(&first[i], &big, &d);
		schedule_add(&second, &other, &d);
		schedule_job_expect(&other, later);
		assert_ptr_equal(schedule_next(&t, 10)->job, later > 0 ? &big : &other);
		heap_free(&d.parked);
		heap_free(&d.small);
		world_forget_transport(&t);
	}
}

TEST(without_slots_messages_wait_for_their_turn)
{
	struct schedule_limits l = WORLD_LIMITS;
	l.under_way = 10;
	l.slot_cost = 0;
	struct world *w = world_new(&l, 1);
	world_message(w, 0, 1000, 0, 1);
	world_message(w, 1000, 1, 0, 1);
	world_run(w, 100000);
	assert_true(world_started(w, 1) > 8000);
	world_free(w);
}

TEST(a_dead_destination_costs_the_others_nothing)
{
	struct schedule_limits l = WORLD_LIMITS;
	struct world *w = world_new(&l, 2);
	world_break(w, 0);
	world_message(w, 0, 1000, 0, 1);
	for (int i = 1; i <= 100; i++)
		world_message(w, i * 10, 1, 1, 1);
	world_run(w, 100000);
	for (size_t i = 1; i <= 100; i++)
		assert_true(world_started(w, i) - (int64_t)i * 10 <= WORLD_DELIVERY_MS);
	assert_true(world_unreached(w) <= 5);
	world_free(w);
}

/* 400 places for 1,000 destinations with ten deliveries each: 25 rounds. */
TEST(a_thousand_destinations_share_by_windows)
{
	struct schedule_limits l = WORLD_LIMITS;
	struct world *w = world_new(&l, 1000);
	world_message(w, 0, 10000, 0, 1000);
	world_run(w, 1000000);
	assert_int_equal(world_finished(w, 0), 25 * WORLD_DELIVERY_MS);
	assert_true(world_widest(w) <= 20);
	world_free(w);
}

TEST(pauses_are_exact)
{
	struct schedule_limits l = WORLD_LIMITS;
	l.destination_delay_ms = 2000;
	struct world *w = world_new(&l, 3);
	world_message(w, 0, 30, 0, 3);
	world_run(w, 100000);
	assert_int_equal(world_finished(w, 0), 10 * WORLD_DELIVERY_MS + 9 * 2000);
	assert_int_equal(world_most_under_way(w), 3);
	world_free(w);
	l.destination_delay_ms = 0;
	l.transport_delay_ms = 2000;
	w = world_new(&l, 3);
	world_message(w, 0, 30, 0, 3);
	world_run(w, 100000);
	assert_int_equal(world_finished(w, 0), 30 * WORLD_DELIVERY_MS + 29 * 2000);
	assert_int_equal(world_most_under_way(w), 1);
	world_free(w);
}
