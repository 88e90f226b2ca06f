#include "base/clock.h"

#include <stdlib.h>

#include "unit.h"

static void set_zone(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

TEST(clock_deadlines_are_clamped)
{
	int64_t now = clock_ms();

	assert_true(deadline_after_ms(-5) >= now);
	assert_true(deadline_after_ms(-5) < now + 10000);
	assert_true(deadline_after_ms(INT64_MAX) == CLOCK_NEVER);
	assert_true(deadline_after_seconds(INT64_MAX / 10) == CLOCK_NEVER);
	assert_true(deadline_after_seconds(-1) < now + 10000);
	assert_true(deadline_left_ms(CLOCK_NEVER) == INT64_MAX);
	assert_int_equal(deadline_left_ms(now - 1), 0);
	assert_true(deadline_earlier(5, CLOCK_NEVER) == 5);
	assert_true(deadline_earlier(7, 5) == 5);
}

TEST(clock_fake_moves_only_when_told)
{
	int64_t start, deadline;

	clock_fake_start(1000000000);
	start = clock_ms();
	deadline = deadline_after_seconds(2);
	assert_true(clock_ms() == start);
	assert_int_equal(deadline_left_ms(deadline), 2000);
	clock_fake_advance_ms(1500);
	assert_int_equal(deadline_left_ms(deadline), 500);
	assert_int_equal(clock_wall_seconds(), 1000000001);
	assert_int_equal(clock_wall().tv_usec, 500000);
	clock_fake_advance_ms(501);
	assert_int_equal(deadline_left_ms(deadline), 0);
	clock_fake_stop();
	assert_true(clock_wall_seconds() > 1600000000);
}

TEST(clock_writes_dates_in_local_time)
{
	static const struct {
		const char *zone;
		int64_t seconds;
		const char *date, *stamp;
	} rows[] = {
	    {"UTC0", 1795318146, "Sun, 22 Nov 2026 03:29:06 +0000 (UTC)",
		"Nov 22 03:29:06"},
	    {"UTC0", 0, "Thu, 01 Jan 1970 00:00:00 +0000 (UTC)", "Jan  1 00:00:00"},
	    {"CET-1", 1795318146, "Sun, 22 Nov 2026 04:29:06 +0100 (CET)",
		"Nov 22 04:29:06"},
	    {"NST3:30", 1795318147, "Sat, 21 Nov 2026 23:59:07 -0330 (NST)",
		"Nov 21 23:59:07"},
	    {"UTC0", INT64_MAX, "Thu, 01 Jan 1970 00:00:00 +0000 (UTC)",
		"Jan  1 00:00:00"},
	};
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_zone(rows[i].zone);
		buf_clear(&b);
		clock_add_rfc5322(&b, rows[i].seconds);
		assert_str(buf_str(&b), rows[i].date);
		buf_clear(&b);
		clock_add_syslog(&b, rows[i].seconds);
		assert_str(buf_str(&b), rows[i].stamp);
	}
	set_zone("UTC0");
}
