/*
 * smtp: the SMTP client (RFC 5321); as lmtp, the LMTP client (RFC 2033). Many deliveries
 * in one process, a fiber each.
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
#include "deliver/pass.h"
#include "lmtp_params.h"
#include "service/owner.h"
#include "smtp/edit.h"
#include "smtp/flags.h"
#include "smtp/generic.h"
#include "smtp/lookup.h"
#include "smtp/source.h"
#include "smtp_wire/capability.h"

#define OWN_ADDRESSES_MAX 1024

static const struct dialect dialect_smtp = {
    .name = "smtp", .hello = "EHLO", .greeting = "performing the EHLO handshake"};
static const struct dialect dialect_lmtp = {
    .name = "lmtp",
    .hello = "LHLO",
    .greeting = "performing the LHLO handshake",
    .local_store = true,
    .reply_each = true,
};

struct smtp_state smtp = {.dialect = &dialect_smtp};

/* One delivery on its way from host to host. */
struct course {
	struct delivery *delivery;
	struct why why;   /* the last failure */
	bool keep;        /* connections, for the next message */
	bool talked;      /* with some server to the end, whatever it said */
	bool looped;      /* we are among the exchangers: no fallback relay */
	bool needs_utf8;  /* the envelope or the header: only for servers that take it */
	bool missed;      /* some server that might have taken it did not talk to us, or
			   * did not take it now */
	struct buf relay; /* of the last server that lacked something, "" when none */
};

static int64_t wall_microseconds(void)
{
	struct timeval now = clock_wall();
	return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

/* Somebody may still be helped by another host. */
static bool anybody_left(const struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct delivery_rcpt *r = &d->recipients[i];
		if (r->result == DELIVERY_PENDING ||
		    (r->result == DELIVERY_DEFERRED && !r->failure.soft))
			return true;
	}
	return false;
}

/* True when the server said all it had to say. */
static bool run_session(struct course *c, struct session *s)
{
	struct delivery *d = c->delivery;
	d->connected = wall_microseconds();
	message_send(s, d, &c->why);
	bool whole = !s->lost && !s->closing;
	c->talked = c->talked || !s->lost;
	c->missed = c->missed || anybody_left(d);
	session_close(s, c->keep);
	return whole;
}

/* No conversation with this host: that is what is known of everybody who is left. */
static void host_failed(struct course *c, struct str relay)
{
	c->delivery->reused = 0;
	delivery_failed_rest(c->delivery, relay, &c->why);
}

/* RFC 6531 3.5: such a message is not for a server without SMTPUTF8. Another may have it:
 * recipients stay pending, and fail with this reason when none is left. */
static bool is_unfit(struct course *c, const struct session *s)
{
	if (!c->needs_utf8 || (s->capabilities & CAPABILITY_SMTPUTF8))
		return false;
	(void)why_never(&c->why, "5.6.7",
	    "SMTPUTF8 is required, but was not offered by host %s", s->peer);
	buf_clear(&c->relay);
	buf_add_cstr(&c->relay, s->relay);
	return true;
}

/* True when a connection that was kept led to this host, and to the end of the attempt:
 * that its server hung up or fell silent meanwhile says nothing of a new one. */
static bool try_kept_host(struct course *c, struct str key, const struct host *h)
{
	struct session *s = c->keep ? session_reuse(key, h) : NULL;
	if (s == NULL)
		return false;
	if (is_unfit(c, s)) {
		session_close(s, false);
		return true;
	}
	buf_clear(&c->relay);
	return run_session(c, s) || !delivery_retry(c->delivery);
}

static bool try_host(struct course *c, struct str key, const struct host *h)
{
	bool reached;
	if (try_kept_host(c, key, h))
		return true;
	struct session *s = session_open(h, key, c->delivery, &reached, &c->why);
	if (s != NULL && is_unfit(c, s)) {
		c->delivery->connected = wall_microseconds();
		session_close(s, false);
		return true;
	}
	buf_clear(&c->relay);
	if (s != NULL) {
		(void)run_session(c, s);
		return true;
	}
	c->missed = true;
	CLEANUP(buf_free) struct buf relay = BUF_INIT(1024);
	c->delivery->connected = wall_microseconds();
	if (reached)
		host_text(&relay, h, true);
	else
		buf_add_cstr(&relay, "none");
	host_failed(c, buf_str(&relay));
	return false;
}

/* `done`: a kept connection led there, and its server has had its say; NULL: none. */
static void try_hosts(struct course *c, struct str key, const struct host_list *list,
    const struct net_address *done)
{
	int64_t sessions = 0, limit = smtp.params.smtp_mx_session_limit;
	for (size_t i = 0; i < list->count; i++) {
		if (done != NULL && net_address_equal_host(done, &list->hosts[i].address))
			continue;
		if (!delivery_retry(c->delivery))
			return;
		if (try_host(c, key, &list->hosts[i]) && limit > 0 && ++sessions >= limit)
			return;
	}
}

/* Our own configuration names a host that does not exist: mail waits until it is mended.
 */
static void blame_parameter(struct course *c, const char *parameter)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(WHY_TEXT_MAX);
	log_warning("%s configuration problem", parameter);
	buf_add_str(&text, buf_str(&c->why.text));
	(void)why_later(&c->why, "4.3.5", "%s", buf_cstr(&text));
}

/* We are the best exchanger of a domain that is not ours: best_mx_transport takes all who
 * are left. Once, as it may lead back here. */
static bool pass(struct course *c)
{
	struct delivery *d = c->delivery;
	struct str target = str_of(smtp.params.best_mx_transport);
	if (target.len == 0 || (d->request.flags & DELIVERY_PASSED_ON) != 0)
		return false;
	if (!delivery_retry(d))
		return true;
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_PENDING)
			delivery_pass(d, i, target, service_common());
	return true;
}

/* No host is known. That the name does not exist, has no address or takes no mail ends it
 * only when no next hop is left. */
static void nowhere_to_go(struct course *c, struct str nexthop, bool looped, bool last)
{
	if (!why_is_later(&c->why) &&
	    str_equal_nocase(nexthop, str_of(smtp.params.relayhost)))
		blame_parameter(c, "relayhost");
	else if (!why_is_later(&c->why) &&
	    str_equal_nocase(nexthop, str_of(smtp.params.smtp_fallback_relay)))
		blame_parameter(c, "smtp_fallback_relay");
	else if (looped && !why_is_later(&c->why) && pass(c))
		return;
	else if (!last)
		why_soften(&c->why);
	if (delivery_retry(c->delivery))
		host_failed(c, STR("none"));
}

/* True when a kept connection led to the end of it; *used_r says where it led, if its
 * server has had its say. */
static bool try_kept(struct course *c, struct str nexthop, struct net_address *used_r)
{
	struct session *s = session_reuse(nexthop, NULL);
	if (s == NULL)
		return false;
	if (is_unfit(c, s)) {
		session_close(s, true);
		return false;
	}
	struct net_address address = s->host.address;
	if (run_session(c, s))
		*used_r = address;
	return !anybody_left(c->delivery);
}

/* One next hop of the list: first a connection that was kept, then its hosts. */
static void try_destination(struct course *c, struct str nexthop, bool last)
{
	struct delivery *d = c->delivery;
	struct destination destination;
	struct net_address used = {.len = 0};
	bool good = destination_parse(nexthop, &destination, &c->why);
	c->keep = good && session_wants_cache(d, &destination);
	if (try_kept(c, nexthop, &used))
		return;
	struct host_list *list = arena_alloc(d->arena, sizeof(*list));
	if (list == NULL)
		(void)why_later(&c->why, "4.3.0", "out of memory for this request");
	if (list != NULL && good && hosts_find(&destination, d->arena, list, &c->why)) {
		c->looped = c->looped || list->holds_us;
		try_hosts(c, nexthop, list, used.len > 0 ? &used : NULL);
	} else {
		bool looped = list != NULL && list->holds_us;
		c->looped = c->looped || looped;
		nowhere_to_go(c, nexthop, looped, last || c->looped);
	}
}

static bool is_last(struct str rest, struct str fallback)
{
	struct str next;
	return !str_next(&rest, " \t\r\n,", &next) &&
	    !str_next(&fallback, " \t\r\n,", &next);
}

static bool has_utf8_header(struct delivery *d)
{
	struct str line;
	bool whole, found = false;
	queue_file_content_start(&d->file, &d->envelope);
	while (!found && queue_file_content_next(&d->file, &line, &whole) == 1 &&
	    line.len > 0)
		found = !str_is_ascii(line);
	return found;
}

/* Whether it holds what only SMTPUTF8 can carry; asked for alone does not count. */
static bool needs_utf8(struct delivery *d)
{
	if (!(d->request.sendopts & DELIVERY_SMTPUTF8))
		return false;
	for (size_t i = 0; i < d->count; i++)
		if (!str_is_ascii(d->recipients[i].request->address))
			return true;
	return !str_is_ascii(d->request.sender) || has_utf8_header(d);
}

/* Next hops are tried in order, then the relays that take what nobody else takes now. */
static void deliver(struct delivery *d)
{
	struct course c = {
	    .delivery = d, .needs_utf8 = needs_utf8(d), .relay = BUF_INIT(2048)};
	struct str rest = d->request.nexthop, nexthop;
	struct str fallback = str_of(smtp.params.smtp_fallback_relay);
	if (!flags_permit(d)) {
		buf_free(&c.relay);
		return;
	}
	why_init(&c.why);
	(void)why_later(&c.why, "4.3.5", "no next hop given");
	while (anybody_left(d) && str_next(&rest, " \t\r\n,", &nexthop))
		try_destination(&c, nexthop, is_last(rest, fallback));
	while (anybody_left(d) && !c.looped && str_next(&fallback, " \t\r\n,", &nexthop))
		try_destination(&c, nexthop, is_last(fallback, STR_EMPTY));
	if (c.missed && c.relay.len > 0)
		why_soften(&c.why);
	host_failed(&c, c.relay.len > 0 ? buf_str(&c.relay) : STR("none"));
	buf_free(&c.relay);
	if (!c.talked && anybody_left(d) && why_is_later(&c.why))
		why_copy(&d->hop, &c.why);
	why_free(&c.why);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "none", deliver);
}

static void before_jail(void)
{
	delivery_before_jail(service_common());
	delivery_filter(
	    "smtp_delivery_status_filter", smtp.params.smtp_delivery_status_filter);
	greeting_before_jail();
	session_before_jail();
	session_cache_before_jail();
	generic_before_jail();
	edit_before_jail();
	flags_before_jail();
	smtp.own = memory_alloc_array(OWN_ADDRESSES_MAX, sizeof(*smtp.own));
	const struct common_params *common = service_common();
	lookup_before_jail();
	source_before_jail();
	smtp.own_count = net_listed_addresses(
	    str_of(common->inet_interfaces), smtp.own, OWN_ADDRESSES_MAX);
	smtp.own_count += net_listed_addresses(str_of(common->proxy_interfaces),
	    smtp.own + smtp.own_count, OWN_ADDRESSES_MAX - smtp.own_count);
	if (dns_open(
		smtp.params.dns_servers[0] != '\0' ? smtp.params.dns_servers : NULL) != 0)
		log_warning("cannot read the resolver's configuration");
}

static void started(void)
{
	delivery_open(service_common(), owner_of(service_common()).uid);
	generic_started();
}

static const struct service smtp_service = {
    .name = "smtp",
    .params = smtp_param_table,
    .values = &smtp.params,
    .sandbox = SANDBOX_NET,
    .attributes = true,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
    .stale = delivery_filter_changed,
};

int main(int argc, char **argv)
{
	struct service service = smtp_service;
	if (argc > 0 && str_ends(str_of(argv[0]), str_of(dialect_lmtp.name))) {
		smtp.dialect = &dialect_lmtp;
		service.name = dialect_lmtp.name;
		service.params = lmtp_param_table;
	}
	return service_main(&service, argc, argv);
}
