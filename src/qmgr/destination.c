/* Destinations: made when first used, left alone for minimal_backoff_time when dead,
 * forgotten when nothing is known about them. */
#include "qmgr/qmgr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define REASON_MAX 1100

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
	schedule_destination_init(&d->schedule, &t->schedule);
	(void)map_set(t->destinations, key, d);
	return d;
}

void destination_release(struct destination *d)
{
	if (!schedule_destination_idle(&d->schedule, clock_ms()))
		return;
	schedule_destination_free(&d->schedule);
	(void)map_remove(d->transport->destinations, str_of(d->key));
	free(d->nexthop);
	free(d->key);
	free(d->dead_reason);
	free(d);
}

const char *destination_dead_reason(struct destination *d)
{
	const char *reason = transport_dead_reason(d->transport);
	if (reason == NULL && d->schedule.dead_until > clock_ms())
		reason = d->dead_reason;
	return reason;
}

void destination_suspend(struct destination *d, const char *status, const char *text)
{
	char line[REASON_MAX];
	(void)snprintf(
	    line, sizeof(line), "%s delivery temporarily suspended: %s", status, text);
	free(d->dead_reason);
	d->dead_reason = memory_copy_cstr(line);
	d->schedule.dead_until = deadline_after_seconds(qmgr.params.minimal_backoff_time);
}

void destination_forget_dead(struct destination *d)
{
	d->transport->dead_until = 0;
	schedule_revive(&d->schedule);
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
			schedule_revive(&d->schedule);
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
