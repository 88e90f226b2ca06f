/*
 * The c-ares channel, driven by the loop. A channel is replaced after a hundred questions
 * (new source ports make answers hard to forge) and when a server seems not to know EDNS
 * (c-ares then stops using it for all). For lookup.c only.
 */
#ifndef DNS_CHANNEL_H
#define DNS_CHANNEL_H

#include "base/str.h"

/* As dns_open. */
MUST_USE int dns_channel_open(const char *servers);
const char *dns_channel_search_domain(size_t index); /* as dns_search_domain */
void dns_channel_close(void); /* calls back for all that is under way */

/*
 * Sends a whole query, whose last 11 bytes must be its OPT record and whose id must be
 * unlike all others under way. Calls back once, perhaps before it returns: `answered` is
 * false when no server did. The packet is valid during the call.
 */
void dns_channel_send(struct str query,
    void (*callback)(void *argument, bool answered, struct str packet), void *argument);

#endif
