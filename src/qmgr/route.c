/* Where each recipient goes, after the resolver's answer: to a destination mostly. */
#include "qmgr/qmgr.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/verify_client.h"
#include "mail/address.h"
#include "mail/log_lines.h"
#include "message/delivery.h"

/* A content filter ("transport:next hop" of the message) takes all mail but what is
 * redirected, and what cannot be delivered anyhow. Without a next hop it is that of
 * default_filter_nexthop, or the recipient's domain. */
static void apply_filter(
    const struct message *m, struct str recipient, struct resolved *to)
{
	struct str filter = m->envelope.filter;
	ptrdiff_t colon = str_find(filter, ':');
	if (colon <= 0 || m->envelope.redirect.len > 0 ||
	    str_is(to->transport, service_common()->error_service_name) ||
	    str_is(to->transport, RETRY_TRANSPORT))
		return;
	to->transport = str_slice(filter, 0, (size_t)colon);
	to->nexthop = str_skip(filter, (size_t)colon + 1);
	if (to->nexthop.len == 0)
		to->nexthop = str_of(qmgr.params.default_filter_nexthop);
	if (to->nexthop.len == 0)
		to->nexthop = address_split(recipient).domain;
}

/* Notices that nobody can be told about have this sender; what comes back to it would
 * go round for ever. */
static bool is_double_bounce(const struct resolved *to, struct str address)
{
	return (to->flags & RESOLVE_CLASS_LOCAL) != 0 &&
	    str_is_nocase(
		address_split(address).local, service_common()->double_bounce_sender);
}

static int64_t not_negative(int64_t value)
{
	return value > 0 ? value : 0;
}

#define DISCARDED "undeliverable postmaster notification discarded"
#define TELL_MS   10000

/* Nobody would deliver to that address, but it exists. */
static void tell_verify(const struct queue_recipient *r)
{
	struct verify_update update = {
	    .address = r->original.len > 0 ? r->original : r->address,
	    .status = VERIFY_DELIVERABLE,
	    .text = STR(DISCARDED)};
	int error =
	    verify_client_update(qmgr.verify, &update, deadline_after_ms(TELL_MS));
	if (error != 0)
		log_warning("verify service: %s", strerror(-error));
}

static void discard(
    struct message *m, const struct portion *p, const struct queue_recipient *r)
{
	if (m->flags & DELIVERY_TELL_VERIFY)
		tell_verify(r);
	const struct timeval *arrival = &m->envelope.arrival;
	struct timeval now = clock_wall();
	int64_t arrived = (int64_t)arrival->tv_sec * 1000000 + arrival->tv_usec;
	int64_t at = (int64_t)now.tv_sec * 1000000 + now.tv_usec;
	log_delivery(&(struct log_delivery){.queue_id = str_of(m->id),
	    .recipient = r->address,
	    .original = r->original,
	    .relay = STR("none"),
	    .delays = {.before_qmgr = not_negative(m->active_since - arrived),
		.in_qmgr = not_negative(at - m->active_since)},
	    .status = STR("2.0.0"),
	    .word = m->flags & DELIVERY_VERIFY ? "deliverable" : "sent",
	    .text = STR(DISCARDED)});
	portion_recipients_done(m, p, 1);
}

/* Probes are cheap to ask for, and must not crowd out mail. */
static bool is_probe_too_many(const struct message *m)
{
	return (m->flags & DELIVERY_TELL_VERIFY) != 0 &&
	    qmgr.probes > (size_t)qmgr.params.address_verify_pending_request_limit;
}

void route_recipient(
    struct message *m, struct portion *p, size_t index, struct resolved *to)
{
	struct queue_recipient *r = &p->recipients[index];
	struct str address = r->address;
	if (to->flags & RESOLVE_TRY_LATER) {
		to->transport = STR(RETRY_TRANSPORT);
		to->nexthop = STR("4.3.0 address resolver failure");
	} else if (to->flags & RESOLVE_ERROR) {
		to->transport = str_of(service_common()->error_service_name);
		to->nexthop = STR("5.1.3 bad address syntax");
	} else if (to->recipient.len > 0) {
		address = arena_str(p->arena, to->recipient);
		if (address.p == NULL)
			address = r->address;
	}
	if (is_double_bounce(to, address)) {
		discard(m, p, r);
		return;
	}
	apply_filter(m, address, to);
	if (is_probe_too_many(m)) {
		to->transport = STR(RETRY_TRANSPORT);
		to->nexthop = STR("4.3.2 Too many address verification requests");
	}
	struct destination *d =
	    destination_get(transport_get(to->transport), to->nexthop, address);
	if (m->unthrottle)
		destination_forget_dead(d);
	dispatch_add(m, p, d, r, address);
}
