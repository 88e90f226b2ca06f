/* From a next hop to the addresses that are tried (RFC 5321 5.1, RFC 7505). */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "smtp/smtp.h"

#define LOOKUP_SECONDS 120 /* for all lookups of a destination together */
#define DEFAULT_PORT   25

/* "host:port" into both halves; an address in brackets keeps its colons. */
static bool split_port(struct str text, struct str *host, struct str *port)
{
	*port = STR_EMPTY;
	*host = text;
	if (text.len > 0 && text.p[0] == '[') {
		ptrdiff_t end = str_find(text, ']');
		if (end < 0)
			return false;
		*host = str_slice(text, 0, (size_t)end + 1);
		struct str rest = str_skip(text, (size_t)end + 1);
		if (rest.len > 0 && rest.p[0] != ':')
			return false;
		*port = str_skip(rest, 1);
		return true;
	}
	ptrdiff_t colon = str_find(text, ':');
	if (colon >= 0) {
		*host = str_slice(text, 0, (size_t)colon);
		*port = str_skip(text, (size_t)colon + 1);
	}
	return host->len > 0;
}

bool destination_parse(struct str text, struct destination *r, struct why *why)
{
	struct str host, port;
	bool store = smtp.dialect->local_store;
	*r = (struct destination){.port = DEFAULT_PORT, .no_mx = store};
	if (store && str_starts(text, STR("unix:"))) {
		r->name = str_skip(text, 5);
		r->is_path = true;
		return r->name.len > 0 ||
		    why_later(why, "4.3.5", "bad next hop: %.*s", STR_ARG(text));
	}
	if (store && str_starts(text, STR("inet:")))
		text = str_skip(text, 5);
	if (!split_port(text, &host, &port))
		return why_later(why, "4.3.5", "bad next hop: %.*s", STR_ARG(text));
	if (port.len == 0)
		port = str_of(smtp.params.smtp_tcp_port);
	else
		r->explicit_port = true;
	if (!net_port_parse(port, &r->port))
		return why_later(
		    why, "4.3.5", "unknown service: %.*s/tcp", STR_ARG(port));
	if (host.p[0] == '[') {
		r->no_mx = true;
		host = str_slice(host, 1, host.len - 1);
		if (str_starts_nocase(host, STR("IPv6:")))
			host = str_skip(host, 5);
	}
	r->name = host;
	return true;
}

static bool wants_family(int family)
{
	struct str protocols = str_of(service_common()->inet_protocols), word;
	while (str_next(&protocols, " \t\r\n,", &word)) {
		if (str_is_nocase(word, "all") ||
		    (family == AF_INET && str_is_nocase(word, "ipv4")) ||
		    (family == AF_INET6 && str_is_nocase(word, "ipv6")))
			return true;
	}
	return false;
}

static bool is_native(void)
{
	return str_find_str(str_of(smtp.params.smtp_host_lookup), STR("dns")) < 0;
}

/* The address type that is asked for last is the one that a failure names. */
static const char *address_type(void)
{
	return wants_family(AF_INET6) ? "AAAA" : "A";
}

/* One search for the addresses of a destination. */
struct search {
	const struct destination *destination;
	struct host_list *list;
	struct arena *arena;
	struct why *why;
	int64_t deadline;
};

/* On another port there may be another server of this machine. */
static bool is_other_port(const struct destination *d)
{
	return d->explicit_port && d->port != DEFAULT_PORT;
}

static void add_host(struct search *s, struct str name, const struct net_address *address,
    unsigned preference)
{
	struct host_list *list = s->list;
	if (list->count == HOSTS_MAX || !wants_family(net_address_family(address)))
		return;
	for (size_t i = 0; i < list->count; i++)
		if (net_address_equal_host(&list->hosts[i].address, address))
			return;
	struct host *h = &list->hosts[list->count++];
	*h = (struct host){.name = name, .address = *address, .preference = preference};
	h->other_port = is_other_port(s->destination);
	net_address_set_port(&h->address, s->destination->port);
}

static enum dns_status worse(enum dns_status a, enum dns_status b)
{
	return a == DNS_TRY_LATER || b == DNS_TRY_LATER ? DNS_TRY_LATER : a;
}

/* All addresses of one host; DNS_FOUND when there is any. */
static enum dns_status add_addresses(
    struct search *s, struct str name, unsigned preference)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA};
	enum dns_status status = DNS_NO_NAME;
	bool found = false;
	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		int family = types[t] == DNS_A ? AF_INET : AF_INET6;
		if (!wants_family(family))
			continue;
		struct dns_answer answer = is_native()
		    ? dns_lookup_native(name, family, s->arena, s->deadline)
		    : dns_lookup(name, types[t], s->arena, s->deadline);
		status = worse(answer.status, status);
		for (size_t i = 0; i < answer.count; i++) {
			if (answer.records[i].type != types[t])
				continue;
			add_host(s, name, &answer.records[i].address, preference);
			found = true;
		}
	}
	return found ? DNS_FOUND : status;
}

static bool native_failure(struct why *why, struct str name, enum dns_status status)
{
	if (status == DNS_TRY_LATER)
		return why_later(why, "4.4.4",
		    "unable to look up host %.*s: Temporary failure in name resolution",
		    STR_ARG(name));
	return why_never(why, "5.4.4",
	    "unable to look up host %.*s: Name or service not known", STR_ARG(name));
}

static bool name_failure(
    struct why *why, struct str name, const char *type, enum dns_status status)
{
	static const char format[] =
	    "Host or domain name not found. Name service error for name=%.*s type=%s: %s";
	if (is_native())
		return native_failure(why, name, status);
	if (status == DNS_TRY_LATER || status == DNS_MALFORMED)
		return why_later(
		    why, "4.4.3", format, STR_ARG(name), type, dns_status_text(status));
	return why_never(
	    why, "5.4.4", format, STR_ARG(name), type, dns_status_text(status));
}

/* Equal preferences in random order (RFC 5321 5.1): shuffled, then sorted by a method
 * that keeps the order of equals. */
static void sort_hosts(struct host_list *list)
{
	for (size_t i = list->count; smtp.params.smtp_randomize_addresses && i > 1; i--) {
		size_t other = random_below((uint32_t)i);
		struct host swap = list->hosts[i - 1];
		list->hosts[i - 1] = list->hosts[other];
		list->hosts[other] = swap;
	}
	for (size_t i = 1; i < list->count; i++) {
		struct host h = list->hosts[i];
		size_t at = i;
		for (; at > 0 && list->hosts[at - 1].preference > h.preference; at--)
			list->hosts[at] = list->hosts[at - 1];
		list->hosts[at] = h;
	}
}

static void sort_records(struct dns_record *records, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct dns_record r = records[i];
		size_t at = i;
		for (; at > 0 && records[at - 1].preference > r.preference; at--)
			records[at] = records[at - 1];
		records[at] = r;
	}
}

static bool is_own(const struct host *h)
{
	for (size_t i = 0; i < smtp.own_count; i++)
		if (net_address_equal_host(&smtp.own[i], &h->address))
			return true;
	return false;
}

/* An exchanger that is ourselves, and all behind it, are left out (RFC 5321 5.1). */
static bool cut_at_myself(struct search *s)
{
	struct host_list *list = s->list;
	const struct destination *d = s->destination;
	size_t own = 0;
	while (own < list->count && !is_own(&list->hosts[own]))
		own++;
	if (own == list->count || is_other_port(d) || smtp.dialect->local_store)
		return true;
	list->holds_us = true;
	unsigned preference = list->hosts[own].preference;
	size_t kept = 0;
	while (kept < list->count && list->hosts[kept].preference < preference)
		kept++;
	list->count = kept;
	return kept > 0 ||
	    why_never(
		s->why, "5.4.6", "mail for %.*s loops back to myself", STR_ARG(d->name));
}

/* Shown with our own name, as it is a place on this machine. */
static bool find_path(struct search *s)
{
	const struct destination *d = s->destination;
	struct host *h = &s->list->hosts[0];
	const char *path = arena_cstr(s->arena, d->name);
	*h = (struct host){
	    .name = str_of(service_common()->myhostname), .other_port = true};
	if (path == NULL || net_address_unix(path, &h->address) != 0)
		return why_later(s->why, "4.3.5", "name of socket is too long: %.*s",
		    STR_ARG(d->name));
	s->list->count = 1;
	return true;
}

static bool find_by_host(struct search *s)
{
	const struct destination *d = s->destination;
	struct net_address literal;
	if (net_address_parse(d->name, d->port, &literal)) {
		add_host(s, d->name, &literal, 0);
		return s->list->count > 0
		    ? cut_at_myself(s)
		    : why_never(s->why, "5.4.4", "address family of %.*s is switched off",
			  STR_ARG(d->name));
	}
	enum dns_status status = add_addresses(s, d->name, 0);
	if (status != DNS_FOUND)
		return name_failure(s->why, d->name, address_type(), status);
	sort_hosts(s->list);
	return cut_at_myself(s);
}

/* RFC 7505. */
static bool is_null_mx(const struct dns_answer *answer)
{
	return answer->count == 1 && answer->records[0].type == DNS_MX &&
	    answer->records[0].target.len == 0;
}

static enum dns_status add_exchanger(struct search *s, const struct dns_record *mx)
{
	struct net_address numeric;
	if (!net_address_parse(mx->target, 0, &numeric))
		return add_addresses(s, mx->target, mx->preference);
	log_warning("numeric domain name in resource data of MX record for %.*s: %.*s",
	    STR_ARG(s->destination->name), STR_ARG(mx->target));
	add_host(s, mx->target, &numeric, mx->preference);
	return DNS_FOUND;
}

/* No host has an address: the failure names one that may have one later, else the last.
 */
static bool no_address(struct search *s, struct str name, enum dns_status status)
{
	log_warning("no MX host for %.*s has a valid address record",
	    STR_ARG(s->destination->name));
	if (smtp.params.smtp_defer_if_no_mx_address_found)
		status = DNS_TRY_LATER;
	return name_failure(s->why, name, address_type(), status);
}

/* The exchangers in order of preference, no more of them than will be tried. */
static bool find_by_mx(struct search *s, const struct dns_answer *answer)
{
	size_t enough = (size_t)smtp.params.smtp_mx_address_limit;
	enum dns_status status = DNS_NO_NAME;
	struct str failed = STR_EMPTY;
	if (is_null_mx(answer))
		return why_never(s->why, "5.1.0",
		    "Domain %.*s does not accept mail (nullMX)",
		    STR_ARG(s->destination->name));
	sort_records(answer->records, answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *mx = &answer->records[i];
		if (enough > 0 && s->list->count >= enough &&
		    mx->preference > mx[-1].preference)
			break;
		enum dns_status found =
		    mx->target.len > 0 ? add_exchanger(s, mx) : DNS_NO_NAME;
		if (found != DNS_FOUND && status != DNS_TRY_LATER) {
			status = found;
			failed = mx->target;
		}
	}
	if (s->list->count == 0)
		return no_address(s, failed, status);
	sort_hosts(s->list);
	return cut_at_myself(s);
}

/* Without exchangers the domain itself is the host (RFC 5321 5.1). A name that does not
 * exist is asked for once more, for servers that know no MX records. */
static bool find_by_domain(struct search *s)
{
	const struct destination *d = s->destination;
	struct dns_answer answer = dns_lookup(d->name, DNS_MX, s->arena, s->deadline);
	switch (answer.status) {
	case DNS_FOUND:
		return find_by_mx(s, &answer);
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		return find_by_host(s);
	case DNS_MALFORMED:
		if (smtp.params.ignore_mx_lookup_error || answer.dropped == 0)
			break;
		/* Records were read, and none names a host that could exist. */
		return why_never(s->why, "5.4.4",
		    "Name service error for name=%.*s type=MX: %s", STR_ARG(d->name),
		    dns_status_text(answer.status));
	case DNS_TRY_LATER:
	case DNS_BAD_NAME:
		break;
	}
	if (smtp.params.ignore_mx_lookup_error)
		return find_by_host(s);
	return name_failure(s->why, d->name, "MX", answer.status);
}

bool hosts_find(
    const struct destination *d, struct arena *a, struct host_list *list, struct why *why)
{
	struct search s = {.destination = d,
	    .list = list,
	    .arena = a,
	    .why = why,
	    .deadline = deadline_after_seconds(LOOKUP_SECONDS)};
	struct net_address literal;
	list->count = 0;
	list->holds_us = false;
	if (d->is_path)
		return find_path(&s);
	if (d->no_mx || smtp.params.disable_dns_lookups || is_native() ||
	    net_address_parse(d->name, 0, &literal))
		return find_by_host(&s);
	return find_by_domain(&s);
}
