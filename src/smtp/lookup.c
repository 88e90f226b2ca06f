/* Names looked up as the parameters want it: by DNS, by the system, filtered, completed.
 */
#include "smtp/lookup.h"

#include "base/log.h"
#include "smtp/smtp.h"
#include "table/maps.h"

static struct {
	struct maps *filter;
	bool dns, native;      /* ways to find a host; DNS goes first */
	bool complete, search; /* res_defnames, res_dnsrch */
	bool families[2];      /* IPv4, IPv6 */
} how;

void lookup_before_jail(void)
{
	const struct smtp_params *p = &smtp.params;
	struct str level = str_of(p->smtp_dns_support_level);
	struct str ways = str_of(p->smtp_host_lookup);
	struct str options = str_of(p->smtp_dns_resolver_options);
	struct str protocols = str_of(service_common()->inet_protocols);
	bool enabled =
	    level.len > 0 ? !str_is_nocase(level, "disabled") : !p->disable_dns_lookups;
	how.filter = maps_open("smtp_dns_reply_filter", p->smtp_dns_reply_filter, 0);
	how.dns = enabled && str_list_has(ways, "dns");
	how.native = !how.dns || str_list_has(ways, "native");
	how.complete = str_list_has(options, "res_defnames");
	how.search = str_list_has(options, "res_dnsrch");
	for (int i = 0; i < 2; i++)
		how.families[i] = str_list_has(protocols, "all") ||
		    str_list_has(protocols, i == 0 ? "ipv4" : "ipv6");
}

bool lookup_uses_dns(void)
{
	return how.dns;
}

bool lookup_wants_family(int family)
{
	return family == AF_UNIX || how.families[family == AF_INET6];
}

/* Whether the filter lets it pass. False with status FOUND: it is left out. */
static bool passes(const struct dns_record *record, enum dns_status *status)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2048), action = BUF_INIT(256);
	dns_record_text(&text, record);
	switch (maps_lookup(how.filter, buf_str(&text), false, &action)) {
	case TABLE_ABSENT:
		return true;
	case TABLE_FOUND:
		if (str_is_nocase(str_trim(buf_str(&action)), "ignore")) {
			log_info("ignoring DNS RR: %s", buf_cstr(&text));
			return false;
		}
		log_warning("smtp_dns_reply_filter: unknown DNS filter action: \"%s\"",
		    buf_cstr(&action));
		break;
	default:
		log_warning("%s lookup error for \"%s\"", maps_last_name(how.filter),
		    buf_cstr(&text));
	}
	*status = DNS_FILTER_BROKEN;
	return false;
}

static void filter(struct dns_answer *answer)
{
	size_t kept = 0;
	for (size_t i = 0; i < answer->count && answer->status == DNS_FOUND; i++)
		if (passes(&answer->records[i], &answer->status))
			answer->records[kept++] = answer->records[i];
	answer->count = kept;
	if (kept == 0 && answer->status == DNS_FOUND)
		answer->status = DNS_FILTERED;
}

struct dns_answer lookup_records(
    struct str name, enum dns_type type, struct arena *arena, int64_t deadline)
{
	struct dns_answer answer = dns_lookup(name, type, arena, deadline);
	if (answer.status == DNS_FOUND && !maps_empty(how.filter))
		filter(&answer);
	return answer;
}

static bool is_absent(const struct dns_answer *answer)
{
	return answer->status == DNS_NO_NAME || answer->status == DNS_NO_DATA;
}

/* As resolvers do it: a name without dot is first tried below the search domains (only
 * the first of them for `complete`), one with dots last and only for `search`. */
static struct dns_answer lookup_completed(
    struct str name, enum dns_type type, struct arena *arena, int64_t deadline)
{
	struct dns_answer answer = {.status = DNS_NO_NAME};
	bool dotted = str_find(name, '.') >= 0;
	const char *domain;
	if (dotted)
		answer = lookup_records(name, type, arena, deadline);
	if (!is_absent(&answer) || str_ends(name, STR(".")) || (dotted && !how.search))
		return answer;
	for (size_t i = 0; (domain = dns_search_domain(i)) != NULL; i++) {
		const char *whole = arena_printf(arena, "%.*s.%s", STR_ARG(name), domain);
		if (i > 0 && !how.search)
			break;
		if (whole == NULL)
			return (struct dns_answer){.status = DNS_TRY_LATER};
		answer = lookup_records(str_of(whole), type, arena, deadline);
		if (!is_absent(&answer))
			return answer;
	}
	return dotted ? answer : lookup_records(name, type, arena, deadline);
}

struct dns_answer lookup_host(
    struct str name, int family, struct arena *arena, int64_t deadline)
{
	enum dns_type type = family == AF_INET6 ? DNS_AAAA : DNS_A;
	struct dns_answer answer = {.status = DNS_NO_NAME};
	if (how.dns)
		answer = how.complete || how.search
		    ? lookup_completed(name, type, arena, deadline)
		    : lookup_records(name, type, arena, deadline);
	if (how.native && is_absent(&answer))
		answer = dns_lookup_native(name, family, arena, deadline);
	return answer;
}
