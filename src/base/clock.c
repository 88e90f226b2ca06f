#include "base/clock.h"

#include "base/panic.h"

#define RFC5322_MAX 64

static struct {
	bool on;
	int64_t monotonic_ms;
	int64_t wall_us;
} fake;

static const char *const months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int64_t monotonic_us(clockid_t clock)
{
	struct timespec now;

	if (fake.on)
		return fake.monotonic_ms * 1000;
	ENSURE(clock_gettime(clock, &now) == 0);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_us(void)
{
	return monotonic_us(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
	return monotonic_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

struct timeval clock_wall(void)
{
	struct timespec now;

	if (fake.on)
		return (struct timeval){
		    .tv_sec = fake.wall_us / 1000000, .tv_usec = fake.wall_us % 1000000};
	ENSURE(clock_gettime(CLOCK_REALTIME, &now) == 0);
	return (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
}

int64_t clock_wall_seconds(void)
{
	return clock_wall().tv_sec;
}

int64_t deadline_after_ms(int64_t milliseconds)
{
	int64_t deadline;

	if (milliseconds < 0)
		milliseconds = 0;
	if (__builtin_add_overflow(clock_ms(), milliseconds, &deadline))
		return CLOCK_NEVER;
	return deadline;
}

int64_t deadline_after_seconds(int64_t seconds)
{
	return deadline_after_ms(seconds > INT64_MAX / 1000 ? INT64_MAX : seconds * 1000);
}

int64_t deadline_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t deadline_left_ms(int64_t deadline)
{
	int64_t now;

	if (deadline == CLOCK_NEVER)
		return INT64_MAX;
	now = clock_ms();
	return deadline <= now ? 0 : deadline - now;
}

/* A time that the C library cannot name (year past int) shows as the epoch. */
static struct tm broken_down(int64_t wall_seconds)
{
	time_t seconds = wall_seconds, zero = 0;
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL)
		ENSURE(localtime_r(&zero, &tm) != NULL);
	return tm;
}

static void make_rfc5322(struct buf *out, int64_t wall_seconds)
{
	struct tm tm = broken_down(wall_seconds);
	long minutes = tm.tm_gmtoff / 60;
	long absolute = minutes < 0 ? -minutes : minutes;

	buf_printf(out, "%s, %02d %s %d %02d:%02d:%02d %c%02ld%02ld (%s)",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, minutes < 0 ? '-' : '+', absolute / 60,
	    absolute % 60, tm.tm_zone);
}

/* All messages of a second ask for the same date. */
void clock_add_rfc5322(struct buf *out, int64_t wall_seconds)
{
	static _Thread_local char text[RFC5322_MAX];
	static _Thread_local size_t len;
	static _Thread_local int64_t second;

	if (len == 0 || wall_seconds != second) {
		struct buf made = {
		    .p = text, .size = sizeof(text), .ceiling = sizeof(text) - 1};
		make_rfc5322(&made, wall_seconds);
		len = made.len;
		second = wall_seconds;
	}
	buf_add(out, text, len);
}

void clock_add_syslog(struct buf *out, int64_t wall_seconds)
{
	struct tm tm = broken_down(wall_seconds);

	buf_printf(out, "%s %2d %02d:%02d:%02d", months[tm.tm_mon], tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void clock_fake_start(int64_t wall_seconds)
{
	fake.monotonic_ms = clock_ms();
	fake.wall_us = wall_seconds * 1000000;
	fake.on = true;
}

void clock_fake_advance_ms(int64_t milliseconds)
{
	ENSURE(fake.on && milliseconds >= 0);
	fake.monotonic_ms += milliseconds;
	fake.wall_us += milliseconds * 1000;
}

void clock_fake_stop(void)
{
	fake.on = false;
}
