/*
 * trivial-rewrite's state, and its two halves:
 *
 *	trivial_rewrite.c  main: tables, exchanges
 *	rewrite.c          bare and odd addresses become user@domain
 *	resolve.c          address class, transport, next hop
 *	transport.c        transport(5) and relocated(5)
 */
#ifndef TRIVIAL_REWRITE_TRIVIAL_REWRITE_H
#define TRIVIAL_REWRITE_TRIVIAL_REWRITE_H

#include "base/arena.h"
#include "mail/address.h"
#include "message/rewrite.h"
#include "net/address.h"
#include "service/service.h"
#include "table/maps.h"
#include "table/match_list.h"
#include "trivial_rewrite_params.h"

struct rewriter {
	struct trivial_rewrite_params params;
	struct match_list *local_domains, *virtual_alias_domains,
	    *virtual_mailbox_domains, *relay_domains;
	struct maps *transports, *relocated;
	struct maps *sender_relayhosts, *sender_transports;
	struct net_prefix *own; /* addresses that mail is received on */
	size_t own_count;
};
extern struct rewriter rewriter;

/* An address, completed for a context. NULL p: the arena is full. */
struct str rewrite_address_text(
    struct arena *a, enum rewrite_context context, struct str address);

/* `sender` counts where the sender decides (sender_dependent_...). A table did not
 * answer: the caller gets RESOLVE_TRY_LATER. */
struct resolved resolve_address(struct arena *a, struct str sender, struct str address);

/* What a table says of the address; false: nothing, or trouble (*trouble true). transport
 * and nexthop in `r` are replaced by the parts that the table gives. */
bool transport_apply(
    struct arena *a, struct str address, struct resolved *r, bool *trouble);
/* What `maps` says of the sender, by whole address and @domain; the null sender has
 * `null_key`. Empty: nothing, "DUNNO" included, or trouble (*trouble true). */
struct str sender_lookup(struct arena *a, struct maps *maps, const char *null_key,
    struct str sender, bool *trouble);
bool relocated_apply(
    struct arena *a, struct str address, struct resolved *r, bool *trouble);
/* "smtp:[host]:25" into its halves, both in the arena; an empty half leaves what is
 * there. */
void transport_split(
    struct arena *a, struct str value, struct str *transport, struct str *nexthop);

#endif
