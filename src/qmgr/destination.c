/*
 * Transports and destinations: how many deliveries may be under way, and who is left
 * alone for a while. A destination's window starts at initial_destination_concurrency,
 * grows by one when a window of deliveries succeeded, and shrinks by one when a window of
 * them failed; after failed_cohort_limit windows of failures it is dead for
 * minimal_backoff_time.
 */
#include "qmgr/qmgr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "client/service_client.h"

#define REASON_MAX 1100

/* "<transport>_destination_recipient_limit", else the default. */
static int64_t transport_number(struct str name, const char *suffix, int64_t fallback)
{
	char parameter[320];
	int64_t value = fallback;
	(void)snprintf(parameter, sizeof(parameter), "%.*s%s", STR_ARG(name), suffix);
	if (!conf_get_int(service_conf(), str_of(parameter), fallback, &value))
		fatal("bad numerical value of parameter %s", parameter);
	return value;
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
	list_init(&t->ready);
	bool is_local = str_is(name, "local");
	t->recipient_limit = transport_number(name, "_destination_recipient_limit",
	    is_local ? qmgr.params.local_destination_recipient_limit
		     : qmgr.params.default_destination_recipient_limit);
	t->concurrency_limit = transport_number(name, "_destination_concurrency_limit",
	    is_local ? qmgr.params.local_destination_concurrency_limit
		     : qmgr.params.default_destination_concurrency_limit);
	t->initial_concurrency =
	    transport_number(name, "_initial_destination_concurrency",
		qmgr.params.initial_destination_concurrency);
	(void)map_set(qmgr.transports, name, t);
	return t;
}

/* With one recipient a delivery, each recipient is a destination of its own. */
static struct str destination_key(
    const struct transport *t, struct str nexthop, struct str recipient)
{
	return t->recipient_limit == 1 ? recipient : nexthop;
}

struct destination *destination_get(
    struct transport *t, struct str nexthop, struct str recipient)
{
	struct str key = destination_key(t, nexthop, recipient);
	struct destination *d = map_get(t->destinations, key);
	if (d != NULL)
		return d;
	d = memory_alloc(sizeof(*d));
	d->transport = t;
	d->nexthop = memory_alloc(nexthop.len + 1);
	memcpy(d->nexthop, nexthop.p, nexthop.len);
	d->key = memory_alloc(key.len + 1);
	memcpy(d->key, key.p, key.len);
	list_init(&d->waiting);
	list_init(&d->link);
	d->window = (double)t->initial_concurrency;
	if (t->concurrency_limit > 0 && d->window > (double)t->concurrency_limit)
		d->window = (double)t->concurrency_limit;
	(void)map_set(t->destinations, key, d);
	return d;
}

void destination_release(struct destination *d)
{
	bool dead = d->dead_until > clock_ms();
	if (!list_empty(&d->waiting) || d->under_way > 0 || dead)
		return;
	list_remove(&d->link);
	(void)map_remove(d->transport->destinations, str_of(d->key));
	free(d->nexthop);
	free(d->key);
	free(d->dead_reason);
	free(d);
}

static void set_reason(char **reason, const char *status, const char *text)
{
	char line[REASON_MAX];
	(void)snprintf(
	    line, sizeof(line), "%s delivery temporarily suspended: %s", status, text);
	free(*reason);
	*reason = memory_copy_cstr(line);
}

static bool is_deferred_transport(const struct transport *t)
{
	struct str names = str_of(qmgr.params.defer_transports), name;
	while (str_next(&names, " \t\r\n,", &name))
		if (str_is(name, t->name))
			return true;
	return false;
}

const char *destination_dead_reason(struct destination *d)
{
	int64_t now = clock_ms();
	if (d->transport->dead_until > now)
		return d->transport->dead_reason;
	if (d->dead_until > now)
		return d->dead_reason;
	return is_deferred_transport(d->transport) ? "4.3.2 deferred transport" : NULL;
}

void destination_succeeded(struct destination *d)
{
	double limit = (double)d->transport->concurrency_limit;
	d->failures = 0;
	d->dead_until = 0;
	d->window += 1 / d->window;
	if (limit > 0 && d->window > limit)
		d->window = limit;
}

void destination_failed(struct destination *d, const char *status, const char *text)
{
	d->failures += 1 / d->window;
	d->window -= 1 / d->window;
	if (d->window < 1)
		d->window = 1;
	int64_t limit = qmgr.params.default_destination_concurrency_failed_cohort_limit;
	if (limit == 0 || d->failures + 0.001 < (double)limit)
		return;
	set_reason(&d->dead_reason, status, text);
	d->dead_until = deadline_after_seconds(qmgr.params.minimal_backoff_time);
	d->failures = 0;
	d->window = (double)d->transport->initial_concurrency;
}

void transport_failed(struct transport *t, const char *reason)
{
	log_warning("transport %s failure: %s", t->name, reason);
	free(t->dead_reason);
	t->dead_reason = memory_copy_cstr("4.3.0 mail transport unavailable");
	t->dead_until = deadline_after_seconds(qmgr.params.transport_retry_time);
}

void destination_forget_dead(struct destination *d)
{
	d->dead_until = 0;
	d->transport->dead_until = 0;
}

static void sweep(struct transport *t, bool forget)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (forget)
		t->dead_until = 0;
	while (map_next(t->destinations, &at, &key, &value)) {
		struct destination *d = value;
		if (forget)
			d->dead_until = 0;
		destination_release(d);
	}
}

static void sweep_all(bool forget)
{
	size_t at = 0;
	struct str name;
	void *value;
	while (map_next(qmgr.transports, &at, &name, &value))
		sweep(value, forget);
}

void destinations_forget_dead(void)
{
	sweep_all(true);
}

void destinations_sweep(void)
{
	sweep_all(false);
}
