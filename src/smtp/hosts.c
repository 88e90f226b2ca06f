/* From a next hop to the addresses that are tried (RFC 5321 5.1, RFC 7505, RFC 2782). */
#include "smtp/hosts.h"

#include "base/clock.h"
#include "base/log.h"
#include "smtp/lookup.h"

#define LOOKUP_SECONDS 120 /* for all lookups of a destination together */
#define DEFAULT_PORT   25

/* One search for the addresses of a destination. */
struct search {
	const struct destination *destination;
	struct host_list *list;
	struct arena *arena;
	struct why *why;
	int64_t deadline;
	uint16_t port; /* of the hosts that are added */
	bool other_port;
	unsigned best; /* preference of the first that the records name, found or not */
};

/* What is asked for the hosts of a domain. */
struct question {
	enum dns_type type;
	const char *type_name;
	struct str name; /* "a.test", "_submission._tcp.a.test" */
};

static void add_host(struct search *s, struct str name, const struct net_address *address,
    unsigned preference)
{
	struct host_list *list = s->list;
	if (list->count == HOSTS_MAX || !lookup_wants_family(net_address_family(address)))
		return;
	for (size_t i = 0; i < list->count; i++)
		if (net_address_equal_host(&list->hosts[i].address, address) &&
		    net_address_port(&list->hosts[i].address) == s->port)
			return;
	struct host *h = &list->hosts[list->count++];
	*h = (struct host){.name = name, .address = *address, .preference = preference};
	h->other_port = s->other_port;
	h->best = preference == s->best;
	net_address_set_port(&h->address, s->port);
}

/* A host without an address, and the question that told so; status FOUND: it has one. */
struct absence {
	enum dns_status status;
	const char *type;
	struct str name;
};

/* May be otherwise at another time: the mail waits. */
static bool is_later(enum dns_status status)
{
	return status == DNS_TRY_LATER || status == DNS_MALFORMED ||
	    status == DNS_FILTERED || status == DNS_FILTER_BROKEN;
}

/* All addresses of one host. What may change later outweighs what is final; of equals
 * the last is told. */
static struct absence add_addresses(
    struct search *s, struct str name, unsigned preference)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct absence absence = {DNS_NO_NAME, "A", name};
	bool found = false;
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		if (!lookup_wants_family(families[f]))
			continue;
		struct dns_answer answer =
		    lookup_host(name, families[f], s->arena, s->deadline);
		if (!is_later(absence.status) || is_later(answer.status)) {
			absence.status = answer.status;
			absence.type = families[f] == AF_INET ? "A" : "AAAA";
		}
		for (size_t i = 0; i < answer.count; i++) {
			const struct net_address *a = &answer.records[i].address;
			if (net_address_family(a) != families[f])
				continue;
			add_host(s, name, a, preference);
			found = true;
		}
	}
	if (found)
		absence.status = DNS_FOUND;
	return absence;
}

static bool native_failure(struct why *why, struct str name, enum dns_status status)
{
	static const char format[] = "unable to look up host %.*s: %s";
	if (status == DNS_TRY_LATER)
		return why_later(why, "4.4.4", format, STR_ARG(name),
		    "Temporary failure in name resolution");
	if (status == DNS_NO_DATA)
		return why_never(why, "5.3.0", format, STR_ARG(name),
		    "No address associated with hostname");
	return why_never(
	    why, "5.4.4", format, STR_ARG(name), "Name or service not known");
}

static bool name_failure(
    struct why *why, struct str name, const char *type, enum dns_status status)
{
	static const char format[] =
	    "Host or domain name not found. Name service error for name=%.*s type=%s: %s";
	static const char filtered[] = "Error looking up name=%.*s type=%s: %s";
	const char *text = dns_status_text(status);
	if (!lookup_uses_dns())
		return native_failure(why, name, status);
	switch (status) {
	case DNS_TRY_LATER:
	case DNS_MALFORMED:
		return why_later(why, "4.4.3", format, STR_ARG(name), type, text);
	case DNS_FILTERED:
		return why_later(why, "4.7.0", filtered, STR_ARG(name), type, text);
	case DNS_FILTER_BROKEN:
		return why_later(why, "4.4.3", filtered, STR_ARG(name), type, text);
	default:
		return why_never(why, "5.4.4", format, STR_ARG(name), type, text);
	}
}

static bool is_own(const struct host *h)
{
	for (size_t i = 0; i < smtp.own_count; i++)
		if (net_address_equal_host(&smtp.own[i], &h->address))
			return true;
	return false;
}

/* An exchanger that is ourselves, and all behind it, are left out (RFC 5321 5.1). With
 * nobody before us the mail loops; but when one before us has no address today, we are
 * where its mail waits for it. */
static bool cut_at_myself(struct search *s)
{
	struct host_list *list = s->list;
	size_t own = 0;
	while (own < list->count && !is_own(&list->hosts[own]))
		own++;
	if (own == list->count || list->hosts[own].other_port ||
	    smtp.dialect->local_store)
		return true;
	list->holds_us = true;
	unsigned preference = list->hosts[own].preference;
	size_t kept = 0;
	while (kept < list->count && list->hosts[kept].preference < preference)
		kept++;
	list->count = kept;
	if (kept > 0)
		return true;
	if (!list->hosts[own].best)
		return why_later(s->why, "4.4.4", "unable to find primary relay for %.*s",
		    STR_ARG(s->destination->name));
	return why_never(s->why, "5.4.6", "mail for %.*s loops back to myself",
	    STR_ARG(s->destination->name));
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

static bool found(struct search *s)
{
	hosts_sort(s->list);
	if (!cut_at_myself(s))
		return false;
	hosts_limit(s->list);
	return true;
}

static bool find_by_host(struct search *s)
{
	const struct destination *d = s->destination;
	struct net_address literal;
	s->best = 0;
	if (net_address_parse(d->name, d->port, &literal)) {
		add_host(s, d->name, &literal, 0);
		return s->list->count > 0
		    ? cut_at_myself(s)
		    : why_never(s->why, "5.4.4", "address family of %.*s is switched off",
			  STR_ARG(d->name));
	}
	struct absence absence = add_addresses(s, d->name, 0);
	if (absence.status != DNS_FOUND)
		return name_failure(s->why, absence.name, absence.type, absence.status);
	return found(s);
}

static struct absence add_target(struct search *s, const struct question *q,
    const struct dns_record *record, unsigned preference)
{
	struct net_address numeric;
	if (record->type == DNS_SRV) {
		s->port = record->port;
		s->other_port = record->port != DEFAULT_PORT;
	}
	if (record->target.len == 0)
		return (struct absence){DNS_NO_NAME, "A", record->target};
	if (!net_address_parse(record->target, 0, &numeric))
		return add_addresses(s, record->target, preference);
	log_warning("numeric domain name in resource data of %s record for %.*s: %.*s",
	    q->type_name, STR_ARG(q->name), STR_ARG(record->target));
	add_host(s, record->target, &numeric, preference);
	return (struct absence){.status = DNS_FOUND};
}

/* RFC 7505; RFC 2782: a root for a name means that there is no such service. */
static bool is_null(const struct dns_answer *answer)
{
	return answer->count == 1 && answer->records[0].target.len == 0;
}

static bool null_failure(struct why *why, const struct question *q)
{
	return why_never(why, "5.1.0",
	    q->type == DNS_MX ? "Domain %.*s does not accept mail (nullMX)"
			      : "Domain %.*s does not support SRV requests",
	    STR_ARG(q->name));
}

/* No host has an address: the failure names one that may have one later, else the last.
 */
static bool no_address(
    struct search *s, const struct question *q, const struct absence *absence)
{
	log_warning("no %s host for %.*s has a valid address record", q->type_name,
	    STR_ARG(q->name));
	(void)name_failure(s->why, absence->name, absence->type, absence->status);
	if (q->type == DNS_MX && smtp.params.smtp_defer_if_no_mx_address_found)
		why_soften(s->why);
	return false;
}

/* As many as will be tried, and of both protocols where both are wanted: exchangers of
 * less preference need not be looked up. */
static bool is_enough(const struct host_list *list)
{
	size_t limit = (size_t)smtp.params.smtp_mx_address_limit;
	if (limit == 0 || list->count < limit)
		return false;
	if (limit == 1 || !smtp.params.smtp_balance_inet_protocols ||
	    !lookup_wants_family(AF_INET) || !lookup_wants_family(AF_INET6))
		return true;
	int first = net_address_family(&list->hosts[0].address);
	for (size_t i = 1; i < list->count; i++)
		if (net_address_family(&list->hosts[i].address) != first)
			return true;
	return false;
}

/* The hosts that an answer names. The order of SRV records was drawn: their rank counts,
 * not their priority. */
static bool find_by_answer(
    struct search *s, const struct question *q, const struct dns_answer *answer)
{
	struct absence absence = {DNS_NO_NAME, "A", STR_EMPTY};
	if (is_null(answer))
		return null_failure(s->why, q);
	hosts_sort_records(answer->records, answer->count);
	s->best = q->type == DNS_SRV ? 0 : answer->records[0].preference;
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (i > 0 && record->preference > record[-1].preference &&
		    is_enough(s->list))
			break;
		struct absence one = add_target(
		    s, q, record, q->type == DNS_SRV ? (unsigned)i : record->preference);
		if (one.status != DNS_FOUND && !is_later(absence.status))
			absence = one;
	}
	if (s->list->count == 0)
		return no_address(s, q, &absence);
	return found(s);
}

/* Without exchangers the domain itself is the host (RFC 5321 5.1). A name that does not
 * exist is asked for once more, for servers that know no MX records. */
static bool find_by_domain(struct search *s)
{
	struct question q = {DNS_MX, "MX", s->destination->name};
	struct dns_answer answer = lookup_records(q.name, q.type, s->arena, s->deadline);
	switch (answer.status) {
	case DNS_FOUND:
		return find_by_answer(s, &q, &answer);
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		return find_by_host(s);
	case DNS_MALFORMED:
		if (smtp.params.ignore_mx_lookup_error || answer.dropped == 0)
			break;
		/* Records were read, and none names a host that could exist. */
		return why_never(s->why, "5.4.4",
		    "Name service error for name=%.*s type=MX: %s", STR_ARG(q.name),
		    dns_status_text(answer.status));
	default:
		break;
	}
	if (smtp.params.ignore_mx_lookup_error)
		return find_by_host(s);
	return name_failure(s->why, q.name, q.type_name, answer.status);
}

/* Whether what is not found by SRV is sought in the usual way. */
static bool may_fall_back(const struct why *why)
{
	return smtp.params.allow_srv_lookup_fallback ||
	    (smtp.params.ignore_srv_lookup_error && why_is_later(why));
}

static bool find_by_service(struct search *s, bool *fall_back_r)
{
	const struct destination *d = s->destination;
	CLEANUP(buf_free) struct buf name = BUF_INIT(DNS_NAME_MAX + 1);
	buf_printf(&name, "_%.*s._tcp.%.*s", STR_ARG(d->service), STR_ARG(d->name));
	struct question q = {DNS_SRV, "SRV", arena_str(s->arena, buf_str(&name))};
	struct dns_answer answer = {
	    .status = buf_ok(&name) ? DNS_TRY_LATER : DNS_BAD_NAME};
	if (buf_ok(&name) && q.name.p != NULL)
		answer = lookup_records(q.name, q.type, s->arena, s->deadline);
	bool good = answer.status == DNS_FOUND
	    ? find_by_answer(s, &q, &answer)
	    : name_failure(s->why, q.name, q.type_name, answer.status);
	*fall_back_r = !good && !s->list->holds_us && may_fall_back(s->why);
	return good;
}

static bool find(struct search *s)
{
	const struct destination *d = s->destination;
	struct net_address literal;
	bool fall_back = false;
	if (!lookup_uses_dns() || net_address_parse(d->name, 0, &literal))
		return find_by_host(s);
	if (destination_wants_srv(d)) {
		bool good = find_by_service(s, &fall_back);
		if (!fall_back)
			return good;
		log_info("skipping SRV lookup for _%.*s._tcp.%.*s: %s",
		    STR_ARG(d->service), STR_ARG(d->name), buf_cstr(&s->why->text));
		s->port = d->port;
		s->other_port = destination_is_other_port(d);
	}
	return d->no_mx ? find_by_host(s) : find_by_domain(s);
}

bool hosts_find(
    const struct destination *d, struct arena *a, struct host_list *list, struct why *why)
{
	struct search s = {.destination = d,
	    .list = list,
	    .arena = a,
	    .why = why,
	    .deadline = deadline_after_seconds(LOOKUP_SECONDS),
	    .port = d->port,
	    .other_port = destination_is_other_port(d)};
	list->count = 0;
	list->holds_us = false;
	return d->is_path ? find_path(&s) : find(&s);
}
