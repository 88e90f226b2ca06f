/*
 * Lookups over c-ares for fibers. The channel is made before the jail (resolv.conf is
 * read there). Results live in the caller's arena.
 */
#ifndef DNS_LOOKUP_H
#define DNS_LOOKUP_H

#include "dns/message.h"

/* Reads resolv.conf, or uses `servers` ("127.0.0.1:5353,..."; tests) when not NULL. */
MUST_USE int dns_open(const char *servers);
void dns_close(void);

/* What the resolver's configuration says to append to incomplete names, in order; NULL
 * after the last. */
const char *dns_search_domain(size_t index);

/* One question; waits at most to the deadline (DNS_TRY_LATER then). Fibers only. */
struct dns_answer dns_lookup(
    struct str name, enum dns_type type, struct arena *arena, int64_t deadline);
/* getaddrinfo on a worker thread ("native": hosts file and what nsswitch says), for
 * smtp_host_lookup = native. Addresses as A/AAAA records. `family` AF_INET, AF_INET6, 0.
 */
struct dns_answer dns_lookup_native(
    struct str name, int family, struct arena *arena, int64_t deadline);
/* Text of the log for a status: "Host not found", "Host not found, try again", ... */
const char *dns_status_text(enum dns_status status);
/*
 * The name of a client, by getnameinfo on a worker thread. DNS_FOUND: the name leads back
 * to the address and is added to both. Else `reverse_r` has the name that was found, if
 * any, and the status tells what failed: DNS_NO_NAME when there is no name, or it leads
 * elsewhere or nowhere; DNS_BAD_NAME when it is no host name; DNS_TRY_LATER. `trouble_r`
 * (untouched without trouble): the resolver's words when the name leads nowhere.
 */
enum dns_status dns_verified_name(const struct net_address *a, struct buf *name_r,
    struct buf *reverse_r, const char **trouble_r, int64_t deadline);

#endif
