/*
 * smtp: the SMTP client (RFC 5321). Many deliveries in one process, a fiber each.
 *
 * Reads from strangers: replies of servers, DNS answers, and, through queue files,
 * message content. Runs as mail_owner, may be jailed; c-ares is opened before. If it died
 * here, deliveries under way would be repeated: a message whose final reply was lost may
 * arrive twice.
 */
#include "smtp/smtp.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "service/owner.h"
#include "smtp_wire/capability.h"

#define OWN_ADDRESSES_MAX 1024

struct smtp_state smtp;

static int64_t wall_microseconds(void)
{
	struct timeval now = clock_wall();
	return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

static bool anybody_pending(const struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_PENDING)
			return true;
	return false;
}

static bool keep_connection(const struct delivery *d)
{
	return smtp.params.smtp_connection_cache_on_demand &&
	    (d->request.flags & DELIVERY_KEEP_CONNECTION) != 0;
}

static void run_session(struct session *s, struct delivery *d, bool last, struct why *why)
{
	message_send(s, d, last, why);
	session_close(s, keep_connection(d));
}

/* A kept connection of the same next hop. When it breaks, others are tried as if it had
 * not been. */
static void try_kept(struct delivery *d, struct str key, struct why *why)
{
	struct session *s = session_reuse(key);
	if (s == NULL)
		return;
	d->connected = wall_microseconds();
	run_session(s, d, false, why);
}

/* True when some host could be talked to. */
static bool try_hosts(struct delivery *d, struct str key, const struct host_list *list,
    bool last_destination, struct why *why)
{
	int64_t sessions = 0;
	bool talked = false;
	size_t limit = (size_t)smtp.params.smtp_mx_address_limit;
	size_t count = limit > 0 && list->count > limit ? limit : list->count;
	for (size_t i = 0; i < count && anybody_pending(d); i++) {
		struct session *s;
		if (!session_open(&list->hosts[i], key, &s, why)) {
			if (why_is_set(why) && !why_is_later(why))
				break;
			continue;
		}
		talked = true;
		d->connected = wall_microseconds();
		bool session_limit = smtp.params.smtp_mx_session_limit > 0 &&
		    ++sessions >= smtp.params.smtp_mx_session_limit;
		bool last = last_destination && (i + 1 == count || session_limit);
		run_session(s, d, last, why);
		if (session_limit)
			break;
	}
	return talked;
}

/* One next hop of the list; *talked_r when a server of it was reached. */
static void try_destination(
    struct delivery *d, struct str nexthop, bool last, bool *talked, struct why *why)
{
	struct destination destination;
	struct host_list *list = arena_alloc(d->arena, sizeof(*list));
	if (list == NULL) {
		(void)why_later(why, "4.3.0", "out of memory for this request");
		return;
	}
	try_kept(d, nexthop, why);
	if (!anybody_pending(d)) {
		*talked = true;
		return;
	}
	if (!destination_parse(nexthop, &destination, why) ||
	    !hosts_find(&destination, d->arena, list, why))
		return;
	if (try_hosts(d, nexthop, list, last, why))
		*talked = true;
}

static bool is_last(struct str rest)
{
	struct str next;
	return !str_next(&rest, " \t,", &next);
}

/* Comma-separated next hops are tried in order. */
static void deliver(struct delivery *d)
{
	struct str rest = d->request.nexthop, nexthop;
	bool talked = false;
	struct why why;
	why_init(&why);
	while (anybody_pending(d) && str_next(&rest, " \t,", &nexthop)) {
		why_clear(&why);
		try_destination(d, nexthop, is_last(rest), &talked, &why);
	}
	if (anybody_pending(d)) {
		if (!why_is_set(&why))
			(void)why_later(&why, "4.3.5", "no next hop given");
		delivery_failed_rest(d, STR("none"), &why);
		if (!talked && why_is_later(&why))
			why_copy(&d->hop, &why);
	}
	why_free(&why);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "none", deliver);
}

static void before_jail(void)
{
	bool silent;
	smtp.discard_keywords =
	    capability_list(str_of(smtp.params.smtp_discard_ehlo_keywords), &silent);
	smtp.own = memory_alloc_array(OWN_ADDRESSES_MAX, sizeof(*smtp.own));
	int count = net_own_addresses(smtp.own, OWN_ADDRESSES_MAX);
	smtp.own_count = count > 0 ? (size_t)count : 0;
	if (dns_open(
		smtp.params.dns_servers[0] != '\0' ? smtp.params.dns_servers : NULL) != 0)
		log_warning("cannot read the resolver's configuration");
}

static void started(void)
{
	delivery_open(service_common(), owner_of(service_common()).uid);
}

static const struct service smtp_service = {
    .name = "smtp",
    .params = smtp_param_table,
    .values = &smtp.params,
    .sandbox = SANDBOX_NET,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
};

int main(int argc, char **argv)
{
	return service_main(&smtp_service, argc, argv);
}
