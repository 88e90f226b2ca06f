/* trivial-rewrite for callers, in batches. */
#ifndef CLIENT_REWRITE_CLIENT_H
#define CLIENT_REWRITE_CLIENT_H

#include "ipc/ipc.h"
#include "message/rewrite.h"

struct rewrite_client;

/* The ipc client stays the caller's. */
struct rewrite_client *rewrite_client_new(struct ipc_client *ipc);
void rewrite_client_free(struct rewrite_client *c);

/* Completes addresses, however many: they go in several questions where one might be too
 * long. `out` strs live in the arena; on failure some may be filled in. 0 or -errno: the
 * service did not answer within 100 s (or ipc_timeout, when that is less) or two repeats;
 * callers answer 4xx. */
MUST_USE int rewrite_addresses(struct rewrite_client *c, enum rewrite_context context,
    const struct str *addresses, size_t count, struct arena *a, struct str *out);

/* Where mail from `sender` to each address goes. An answer is remembered for a second, as
 * Postfix's clients remember theirs: busy senders and recipients come again at once. Not
 * one that says to ask later. As many addresses as above. */
struct resolve_question {
	struct str sender;
	uint8_t how; /* enum resolve_how */
};
MUST_USE int rewrite_resolve(struct rewrite_client *c, struct resolve_question q,
    const struct str *addresses, size_t count, struct arena *a, struct resolved *out);

#endif
