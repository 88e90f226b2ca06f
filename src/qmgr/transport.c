/* Transports: made when first used, with the parameters that bear their name. */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "run/loop.h"

#define UNDER_WAY_MAX \
	400 /* deliveries of one transport at once; master.cf limits them further */

struct named {
	char text[320];
};

/* "smtp" "_destination_recipient_limit" */
static struct named parameter(const char *transport, const char *suffix)
{
	struct named name;
	(void)snprintf(name.text, sizeof(name.text), "%s%s", transport, suffix);
	return name;
}

static int64_t number(const char *transport, const char *suffix, int64_t fallback)
{
	struct named name = parameter(transport, suffix);
	int64_t value = fallback;
	if (!conf_get_int(service_conf(), str_of(name.text), fallback, &value) ||
	    value < 0)
		fatal("bad numerical value of parameter %s", name.text);
	return value;
}

static int64_t delay_ms(const char *transport, const char *suffix, int64_t fallback)
{
	struct named name = parameter(transport, suffix);
	int64_t seconds = fallback;
	if (!conf_get_time(service_conf(), str_of(name.text), 's', fallback, &seconds) ||
	    seconds < 0)
		fatal("bad time of parameter %s", name.text);
	return seconds * 1000;
}

static struct schedule_feedback feedback(
    const char *transport, const char *suffix, const char *fallback)
{
	struct named name = parameter(transport, suffix);
	int64_t initial = number(transport, "_initial_destination_concurrency",
	    qmgr.params.initial_destination_concurrency);
	struct schedule_feedback value;
	CLEANUP(buf_free) struct buf text = BUF_INIT(320);
	if (!conf_get(service_conf(), str_of(name.text), &text)) {
		name = parameter("default", suffix);
		buf_add_cstr(&text, fallback);
	}
	if (!schedule_feedback_parse(buf_str(&text), &value))
		fatal("bad value of parameter %s: %s", name.text, buf_cstr(&text));
	if (qmgr.params.destination_concurrency_feedback_debug)
		log_info("%s: %s feedback type %d value at %lld: %g", transport,
		    name.text, (int)value.by, (long long)initial,
		    schedule_feedback_at(&value, initial));
	return value;
}

static struct schedule_limits limits(const char *name)
{
	const struct qmgr_params *p = &qmgr.params;
	bool is_local = strcmp(name, "local") == 0;
	return (struct schedule_limits){
	    .under_way = UNDER_WAY_MAX,
	    .concurrency = number(name, "_destination_concurrency_limit",
		is_local ? p->local_destination_concurrency_limit
			 : p->default_destination_concurrency_limit),
	    .initial = number(name, "_initial_destination_concurrency",
		p->initial_destination_concurrency),
	    .failed_cohorts = number(name, "_destination_concurrency_failed_cohort_limit",
		p->default_destination_concurrency_failed_cohort_limit),
	    .destination_delay_ms = delay_ms(
		name, "_destination_rate_delay", p->default_destination_rate_delay),
	    .transport_delay_ms =
		delay_ms(name, "_transport_rate_delay", p->default_transport_rate_delay),
	    .positive = feedback(name, "_destination_concurrency_positive_feedback",
		p->default_destination_concurrency_positive_feedback),
	    .negative = feedback(name, "_destination_concurrency_negative_feedback",
		p->default_destination_concurrency_negative_feedback),
	    .slot_cost =
		number(name, "_delivery_slot_cost", p->default_delivery_slot_cost),
	    .slot_loan =
		number(name, "_delivery_slot_loan", p->default_delivery_slot_loan),
	    .slot_discount = number(
		name, "_delivery_slot_discount", p->default_delivery_slot_discount),
	    .minimum_slots = number(
		name, "_minimum_delivery_slots", p->default_minimum_delivery_slots),
	};
}

static struct memory_limits memory_limits(const char *name)
{
	const struct qmgr_params *p = &qmgr.params;
	return (struct memory_limits){
	    .limit = number(name, "_recipient_limit", p->default_recipient_limit),
	    .extra =
		number(name, "_extra_recipient_limit", p->default_extra_recipient_limit),
	    .refill = number(
		name, "_recipient_refill_limit", p->default_recipient_refill_limit),
	    .refill_delay_ms = delay_ms(
		name, "_recipient_refill_delay", p->default_recipient_refill_delay),
	};
}

static void pause_is_over(void *argument)
{
	dispatch_run(argument);
}

struct transport *transport_get(struct str name)
{
	struct transport *t = map_get(qmgr.transports, name);
	if (t != NULL)
		return t;
	t = memory_alloc(sizeof(*t));
	t->name = memory_alloc(name.len + 1);
	memcpy(t->name, name.p, name.len);
	t->agent = service_client_new(service_common(), SERVICE_PRIVATE, t->name);
	t->destinations = map_new();
	struct schedule_limits l = limits(t->name);
	schedule_transport_init(&t->schedule, &l);
	t->memory = memory_limits(t->name);
	if (l.destination_delay_ms > 0 || l.transport_delay_ms > 0)
		t->pause = run_timer_new(pause_is_over, t);
	t->recipient_limit = number(t->name, "_destination_recipient_limit",
	    str_is(name, "local") ? qmgr.params.local_destination_recipient_limit
				  : qmgr.params.default_destination_recipient_limit);
	(void)map_set(qmgr.transports, name, t);
	return t;
}

static bool is_deferred_transport(const struct transport *t)
{
	struct str names = str_of(qmgr.params.defer_transports), name;
	while (str_next(&names, " \t\r\n,", &name))
		if (str_is(name, t->name))
			return true;
	return false;
}

const char *transport_dead_reason(const struct transport *t)
{
	if (t->dead_until > clock_ms())
		return t->dead_reason;
	return is_deferred_transport(t) ? "4.3.2 deferred transport" : NULL;
}

void transport_failed(struct transport *t, int error)
{
	if (error == -ENOENT || error == -ECONNREFUSED || error == -EACCES)
		log_warning(
		    "connect to transport private/%s: %s", t->name, strerror(-error));
	else
		log_warning("transport %s failure: %s", t->name, strerror(-error));
	free(t->dead_reason);
	t->dead_reason = memory_copy_cstr("4.3.0 mail transport unavailable");
	t->dead_until = deadline_after_seconds(qmgr.params.transport_retry_time);
}
