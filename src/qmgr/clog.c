/* Warns of a destination that fills the active queue, in Postfix's words; they say which
 * parameter may help. */
#include "qmgr/qmgr.h"

#include "base/clock.h"
#include "base/log.h"

#define SHARE 5 /* a fifth of the active queue is much for one destination */

static void advise(const struct destination *d, const struct schedule_destination *s)
{
	const struct transport *t = d->transport;
	int64_t active_limit = qmgr.params.qmgr_message_active_limit;
	int64_t concurrency = t->schedule.limits.concurrency;
	if (active_limit < SHARE) {
		log_warning("you may need to increase the main.cf "
			    "qmgr_message_active_limit from %lld",
		    (long long)active_limit);
	} else if (map_count(t->destinations) > 1) {
		log_warning("you may need a separate master.cf transport for %s", d->key);
	} else if (s->under_way >= concurrency && concurrency > 0) {
		log_warning("you may need to increase the main.cf "
			    "%s_destination_concurrency_limit from %lld",
		    t->name, (long long)concurrency);
	} else {
		log_warning(
		    "you may need to reduce %s connect and helo timeouts", t->name);
		log_warning("so that Postfix quickly skips unavailable hosts");
		log_warning("you may need to increase the main.cf minimal_backoff_time "
			    "and maximal_backoff_time");
		log_warning("so that Postfix wastes less time on undeliverable mail");
		log_warning(
		    "you may need to increase the master.cf %s process limit", t->name);
	}
}

void clog_warn(struct destination *d)
{
	const struct schedule_destination *s = &d->schedule;
	int64_t used = s->waiting + s->under_way;
	int64_t limit = qmgr.params.qmgr_message_active_limit;
	size_t active = map_count(qmgr.messages);
	if (qmgr.params.qmgr_clog_warn_time == 0 || used <= limit / SHARE ||
	    clock_ms() < d->clog_warned_until)
		return;
	d->clog_warned_until = deadline_after_seconds(qmgr.params.qmgr_clog_warn_time);
	log_warning("mail for %s is using up %lld of %zu active queue entries",
	    d->nexthop, (long long)used, active);
	if (used < (int64_t)active)
		log_warning("this may slow down other mail deliveries");
	advise(d, s);
	log_warning("please avoid flushing the whole queue when you have");
	log_warning("lots of deferred mail, that is bad for performance");
	log_warning("to turn off these warnings specify: qmgr_clog_warn_time = 0");
}
