/* From a next hop to the addresses that are tried (RFC 5321 5.1, RFC 7505). */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "smtp/smtp.h"

#define LOOKUP_SECONDS 60
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
	*r = (struct destination){.port = DEFAULT_PORT};
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

static void add_host(struct host_list *list, struct str name,
    const struct net_address *address, uint16_t port, unsigned preference)
{
	if (list->count == HOSTS_MAX || !wants_family(net_address_family(address)))
		return;
	struct host *h = &list->hosts[list->count++];
	*h = (struct host){.name = name, .address = *address, .preference = preference};
	net_address_set_port(&h->address, port);
}

static bool looks_native(void)
{
	return str_find_str(str_of(smtp.params.smtp_host_lookup), STR("dns")) < 0;
}

static struct dns_answer look_up_address(
    struct str name, enum dns_type type, struct arena *a)
{
	int64_t deadline = deadline_after_seconds(LOOKUP_SECONDS);
	if (looks_native())
		return dns_lookup_native(
		    name, type == DNS_A ? AF_INET : AF_INET6, a, deadline);
	return dns_lookup(name, type, a, deadline);
}

static enum dns_status worse(enum dns_status a, enum dns_status b)
{
	return a == DNS_TRY_LATER || b == DNS_TRY_LATER ? DNS_TRY_LATER : a;
}

/* All addresses of one host; DNS_FOUND when there is any. */
static enum dns_status add_addresses(struct host_list *list, struct str name,
    uint16_t port, unsigned preference, struct arena *a)
{
	static const enum dns_type types[] = {DNS_AAAA, DNS_A};
	enum dns_status status = DNS_NO_NAME;
	size_t before = list->count;
	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		if (!wants_family(types[t] == DNS_A ? AF_INET : AF_INET6))
			continue;
		struct dns_answer answer = look_up_address(name, types[t], a);
		status = worse(answer.status, status);
		for (size_t i = 0; i < answer.count; i++)
			if (answer.records[i].type == types[t])
				add_host(list, name, &answer.records[i].address, port,
				    preference);
	}
	return list->count > before ? DNS_FOUND : status;
}

static bool name_failure(
    struct why *why, struct str name, const char *type, enum dns_status status)
{
	static const char format[] =
	    "Host or domain name not found. Name service error for name=%.*s type=%s: %s";
	if (status == DNS_TRY_LATER || status == DNS_MALFORMED)
		return why_later(
		    why, "4.4.3", format, STR_ARG(name), type, dns_status_text(status));
	return why_never(
	    why, "5.4.4", format, STR_ARG(name), type, dns_status_text(status));
}

/* Equal preferences in random order (RFC 5321 5.1): a random key beside each. */
static void sort_hosts(struct host_list *list)
{
	for (size_t i = list->count; smtp.params.smtp_randomize_addresses && i > 1; i--) {
		size_t other = random_below((uint32_t)i);
		struct host swap = list->hosts[i - 1];
		list->hosts[i - 1] = list->hosts[other];
		list->hosts[other] = swap;
	}
	for (size_t i = 1; i < list->count;
	     i++) { /* stable: keeps the random order of equals */
		struct host h = list->hosts[i];
		size_t at = i;
		for (; at > 0 && list->hosts[at - 1].preference > h.preference; at--)
			list->hosts[at] = list->hosts[at - 1];
		list->hosts[at] = h;
	}
}

static bool is_own(const struct host *h)
{
	for (size_t i = 0; i < smtp.own_count; i++)
		if (net_address_equal_host(&smtp.own[i].address, &h->address))
			return true;
	return false;
}

/* A mail exchanger that is ourselves, and all behind it, are left out (RFC 5321 5.1). */
static bool cut_at_myself(
    const struct destination *d, struct host_list *list, struct why *why)
{
	size_t own = 0;
	while (own < list->count && !is_own(&list->hosts[own]))
		own++;
	if (own == list->count || d->explicit_port)
		return true;
	unsigned preference = list->hosts[own].preference;
	size_t kept = 0;
	while (kept < list->count && list->hosts[kept].preference < preference)
		kept++;
	list->count = kept;
	return kept > 0 ||
	    why_never(
		why, "5.4.6", "mail for %.*s loops back to myself", STR_ARG(d->name));
}

static bool find_by_host(
    const struct destination *d, struct arena *a, struct host_list *list, struct why *why)
{
	struct net_address literal;
	if (net_address_parse(d->name, d->port, &literal)) {
		add_host(list, d->name, &literal, d->port, 0);
		return list->count > 0 ||
		    why_never(why, "5.4.4", "address family of %.*s is switched off",
			STR_ARG(d->name));
	}
	enum dns_status status = add_addresses(list, d->name, d->port, 0, a);
	return status == DNS_FOUND || name_failure(why, d->name, "A", status);
}

static bool is_null_mx(const struct dns_answer *answer)
{
	return answer->count == 1 && answer->records[0].type == DNS_MX &&
	    answer->records[0].target.len == 0;
}

static bool find_by_mx(const struct destination *d, const struct dns_answer *answer,
    struct arena *a, struct host_list *list, struct why *why)
{
	enum dns_status status = DNS_NO_NAME;
	if (is_null_mx(answer))
		return why_never(why, "5.1.0",
		    "Domain %.*s does not accept mail (nullMX)", STR_ARG(d->name));
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].type == DNS_MX &&
		    answer->records[i].target.len > 0)
			status = worse(add_addresses(list, answer->records[i].target,
					   d->port, answer->records[i].preference, a),
			    status);
	if (list->count == 0) {
		if (smtp.params.smtp_defer_if_no_mx_address_found)
			status = DNS_TRY_LATER;
		return name_failure(why, answer->records[0].target, "A", status);
	}
	sort_hosts(list);
	return cut_at_myself(d, list, why);
}

bool hosts_find(
    const struct destination *d, struct arena *a, struct host_list *list, struct why *why)
{
	list->count = 0;
	bool no_dns = smtp.params.disable_dns_lookups || looks_native();
	struct net_address literal;
	if (d->no_mx || no_dns || net_address_parse(d->name, 0, &literal)) {
		if (!find_by_host(d, a, list, why))
			return false;
		sort_hosts(list);
		return true;
	}
	struct dns_answer answer =
	    dns_lookup(d->name, DNS_MX, a, deadline_after_seconds(LOOKUP_SECONDS));
	if (answer.status == DNS_FOUND)
		return find_by_mx(d, &answer, a, list, why);
	if (answer.status != DNS_NO_DATA && !smtp.params.ignore_mx_lookup_error)
		return name_failure(why, d->name, "MX", answer.status);
	if (!find_by_host(d, a, list, why))
		return false;
	sort_hosts(list);
	return cut_at_myself(d, list, why);
}
