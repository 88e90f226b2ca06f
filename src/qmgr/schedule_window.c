/* Windows of destinations: feedback, and when a destination is dead. */
#include "qmgr/schedule_window.h"

#include <math.h>

/* A sum of n parts of 1/n may be a little less than 1; the same for feedback, where
 * Postfix rounds to half a step. */
#define ENOUGH 0.999999

double schedule_feedback_at(const struct schedule_feedback *f, int64_t window)
{
	if (f->by == SCHEDULE_BY_WINDOW)
		return f->amount / (double)window;
	return f->by == SCHEDULE_BY_ROOT ? f->amount / sqrt((double)window) : f->amount;
}

static bool parse_amount(struct str text, double *r)
{
	double value = 0, unit = 1;
	bool point = false, digit = false;
	if (text.len > 20)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		digit = true;
		unit = point ? unit / 10 : unit;
		value = point ? value + (c - '0') * unit : value * 10 + (c - '0');
	}
	*r = value;
	return digit && value <= 1;
}

bool schedule_feedback_parse(struct str text, struct schedule_feedback *r)
{
	struct schedule_feedback f = {.by = SCHEDULE_CONSTANT};
	ptrdiff_t slash = str_find(text, '/');
	struct str amount = slash < 0 ? text : str_slice(text, 0, (size_t)slash);
	if (slash >= 0) {
		struct str by = str_trim(str_skip(text, (size_t)slash + 1));
		if (str_is(by, "concurrency"))
			f.by = SCHEDULE_BY_WINDOW;
		else if (str_is(by, "sqrt_concurrency"))
			f.by = SCHEDULE_BY_ROOT;
		else
			return false;
	}
	if (!parse_amount(str_trim(amount), &f.amount))
		return false;
	*r = f;
	return true;
}

/* A window that is not used does not grow: it is at most `initial` beyond what is. */
void schedule_window_grow(struct schedule_destination *d)
{
	const struct schedule_limits *limits = &d->transport->limits;
	d->failed_cohorts = 0;
	if ((limits->concurrency > 0 && d->window >= limits->concurrency) ||
	    d->window >= d->under_way + limits->initial)
		return;
	d->failure = 0;
	double step = schedule_feedback_at(&limits->positive, d->window);
	d->success += step;
	if (d->success + step / 2 >= 1) {
		d->window++;
		d->success -= 1;
	}
}

bool schedule_window_shrink(struct schedule_destination *d)
{
	const struct schedule_limits *limits = &d->transport->limits;
	d->failed_cohorts += 1 / (double)d->window;
	if (limits->failed_cohorts > 0 &&
	    d->failed_cohorts >= (double)limits->failed_cohorts * ENOUGH) {
		schedule_window_reset(d);
		return true;
	}
	d->success = 0;
	double step = schedule_feedback_at(&limits->negative, d->window);
	d->failure -= step;
	for (; d->failure - step / 2 < 0; d->failure += 1)
		d->window -= d->window > 1;
	return false;
}

void schedule_window_reset(struct schedule_destination *d)
{
	const struct schedule_limits *limits = &d->transport->limits;
	d->window = limits->initial;
	if (limits->concurrency > 0 && d->window > limits->concurrency)
		d->window = limits->concurrency;
	if (limits->destination_delay_ms > 0)
		d->window = 1;
	d->success = d->failure = d->failed_cohorts = 0;
}
