/* What a server calls its client. */
#ifndef DNS_CLIENT_NAME_H
#define DNS_CLIENT_NAME_H

#include "base/arena.h"
#include "net/address.h"

#define CLIENT_NAME_UNKNOWN STR("unknown")

struct client_name {
	struct str name;    /* of its address, and leads back to it; or "unknown" */
	struct str reverse; /* of its address, wherever it leads; or "unknown" */
};

/* Waits for the resolver, at most 10 s; fibers only. A name that does not lead back is
 * worth a warning. Strings live in `arena`. */
struct client_name client_name_find(
    const struct net_address *client, struct arena *arena);

#endif
