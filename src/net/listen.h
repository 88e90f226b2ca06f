/* Listening sockets. All are close-on-exec, non-blocking, and inherited on purpose only.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/address.h"

/* Descriptor or -errno. SO_REUSEADDR for inet, IPV6_V6ONLY for IPv6. A UNIX path that
 * exists as a socket is replaced; mode 0666, the directory guards it. */
MUST_USE int net_listen(const struct net_address *a, int backlog);
/* Beside others of this user that were opened so too, at the same address or at one that
 * holds it: a more special one gets its connections, equal ones share them. Where the
 * system has no SO_REUSEPORT it is net_listen. */
MUST_USE int net_listen_shared(const struct net_address *a, int backlog);
/* From now on, for one that was not opened so. 0 or -errno. */
MUST_USE int net_share(int listener);

/* Accepts one connection, close-on-exec and non-blocking, TCP_NODELAY on inet. -EAGAIN
 * when none waits; other -errno. Fault point: accept. */
MUST_USE int net_accept(int listener, struct net_address *peer_r);

/* A connected pair of UNIX stream sockets. 0 or -errno. */
MUST_USE int net_pair(int fds_r[2]);

#endif
