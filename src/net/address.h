/*
 * IP and UNIX socket addresses as plain values; text forms of RFC 4291/5952 (IPv6 in
 * lower case, compressed) and the mail forms of RFC 5321 4.1.3 ([1.2.3.4], [IPv6:::1]).
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/buf.h"

struct net_address {
	struct sockaddr_storage storage;
	socklen_t len; /* 0 = none */
};

#define NET_ADDRESS_TEXT_MAX 64

/* Numeric IPv4 or IPv6 without brackets, no names, no scope, no leading zeros or short
 * IPv4 forms. Port in host order. */
MUST_USE bool net_address_parse(struct str text, uint16_t port, struct net_address *r);
/* UNIX path; -ENAMETOOLONG when it does not fit (107 bytes). */
MUST_USE int net_address_unix(const char *path, struct net_address *r);
MUST_USE bool net_address_from(
    const struct sockaddr *sa, socklen_t len, struct net_address *r);

int net_address_family(
    const struct net_address *a); /* AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC */
uint16_t net_address_port(const struct net_address *a);
void net_address_set_port(struct net_address *a, uint16_t port);
/* "127.0.0.1", "::1", a path; IPv4-mapped IPv6 shows as IPv4. No port, no brackets. */
void net_address_add_text(struct buf *out, const struct net_address *a);
bool net_address_equal_host(const struct net_address *a, const struct net_address *b);
bool net_address_is_loopback(const struct net_address *a);
/* ::ffff:a.b.c.d becomes a.b.c.d */
void net_address_unmap(struct net_address *a);

/* A network pattern: "1.2.3.4", "1.2.3.0/24", "[2001:db8::]/32", "[::1]" (brackets needed
 * for IPv6 in lists, as main.cf has it; `bare_ipv6` allows it without, as cidr tables
 * do). Non-zero host bits are an error: *error_r says so in words. */
struct net_prefix {
	struct net_address address;
	unsigned bits;
};
MUST_USE bool net_prefix_parse(
    struct str text, bool bare_ipv6, struct net_prefix *r, const char **error_r);
/* A network of IPv4-mapped IPv6 addresses (::ffff:0:0/96) holds nobody: hosts are looked
 * at as IPv4 ones. */
bool net_prefix_match(const struct net_prefix *p, const struct net_address *a);

/* Addresses of this machine's interfaces into `out` (at most max); count or -errno. */
MUST_USE int net_own_addresses(struct net_prefix *out, size_t max);
/* inet_interfaces and proxy_interfaces: words that are "all", "loopback-only", addresses
 * (brackets allowed), or names, which are looked up (blocking). Count, at most max. */
size_t net_listed_addresses(struct str list, struct net_address *out, size_t max);

/* Numeric or known service name ("smtp", "lmtp", "submission", "submissions", "smtps",
 * "24"); other names by getservbyname. False: unknown. */
MUST_USE bool net_port_parse(struct str text, uint16_t *port_r);

#endif
