/* Outgoing connections with a deadline. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/stream.h"

/* From a fiber. `source` may be NULL. 0 and *stream_r, or -ETIMEDOUT, -ECONNREFUSED, ...
 */
MUST_USE int net_connect(const struct net_address *to, const struct net_address *source,
    int64_t deadline, struct stream **stream_r);
/* Whether connections can be made from this address: 0, -EADDRNOTAVAIL, ... */
MUST_USE int net_bind_check(const struct net_address *source);
/* For programs without a loop: blocking connect to a UNIX socket. Descriptor or -errno.
 * The timeout also holds for each read and write on it (-EAGAIN then). */
MUST_USE int net_connect_unix_blocking(const char *path, int timeout_ms);

#endif
