/*
 * Names looked up as the parameters want it: smtp_host_lookup and smtp_dns_support_level
 * (by DNS, by the system, or by the system what DNS has not), smtp_dns_reply_filter,
 * smtp_dns_resolver_options, inet_protocols. Fibers only; results live in the arena.
 */
#ifndef SMTP_LOOKUP_H
#define SMTP_LOOKUP_H

#include "dns/lookup.h"

void lookup_before_jail(void); /* opens the filter's tables */

bool lookup_uses_dns(void); /* false: no exchangers, no SRV, hosts by the system only */
bool lookup_wants_family(int family); /* inet_protocols */

/* By DNS, records that the filter drops left out. Beside the status of dns_lookup:
 * DNS_FILTERED, DNS_FILTER_BROKEN. */
struct dns_answer lookup_records(
    struct str name, enum dns_type type, struct arena *arena, int64_t deadline);
/* Addresses of a host. */
struct dns_answer lookup_host(
    struct str name, int family, struct arena *arena, int64_t deadline);

#endif
