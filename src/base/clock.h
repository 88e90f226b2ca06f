/*
 * Time. Deadlines are absolute milliseconds of the monotonic clock, so a change of the
 * wall clock neither expires nor stretches them; CLOCK_NEVER waits without end and is
 * only for waits that another event surely ends. Wall time is what queue files, headers
 * and logs show. Tests replace both clocks (clock_fake_*).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include "base/buf.h"

#define CLOCK_NEVER INT64_MAX

/* Monotonic milliseconds, for deadlines: as of the kernel's last tick (1 to 10 ms apart),
 * which is much cheaper to ask for. */
int64_t clock_ms(void);
int64_t clock_us(void);          /* microseconds, exact: how long something took */
struct timeval clock_wall(void); /* seconds and microseconds since 1970 */
int64_t clock_wall_seconds(void);

/* now + milliseconds; negative or huge values are clamped. */
int64_t deadline_after_ms(int64_t milliseconds);
int64_t deadline_after_seconds(int64_t seconds);
int64_t deadline_earlier(int64_t a, int64_t b);
/* Milliseconds left, 0 when past, INT64_MAX for CLOCK_NEVER. */
int64_t deadline_left_ms(int64_t deadline);

/* RFC 5322 date in local time with two-digit day: "Sun, 22 Nov 2026 03:29:06 +0000
 * (UTC)". The zone must not change within a second: the last text is remembered. */
void clock_add_rfc5322(struct buf *out, int64_t wall_seconds);
/* Syslog style, local time: "Nov 22 03:29:06" (day padded with a blank). */
void clock_add_syslog(struct buf *out, int64_t wall_seconds);

/* Tests only: from then on time stands still and moves by clock_fake_advance_ms. */
void clock_fake_start(int64_t wall_seconds);
void clock_fake_advance_ms(int64_t milliseconds);
void clock_fake_stop(void);

#endif
