/*
 * trivial-rewrite's state, and its parts:
 *
 *	trivial_rewrite.c  main: tables, exchanges
 *	rewrite.c          bare and odd addresses become user@domain
 *	resolve.c          address class, transport, next hop
 *	transport.c        transport(5), relocated(5), tables by sender
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

/* Domains that are ours in one way or another, in the order in which they are asked; what
 * is in none of them is the default class. */
enum domain_class_index {
	CLASS_LOCAL,
	CLASS_VIRTUAL_ALIAS,
	CLASS_VIRTUAL_MAILBOX,
	CLASS_RELAY,
	CLASS_COUNT
};

struct domain_class {
	const char *title; /* the parameter */
	struct match_list *list;
	bool empty; /* no domain can be in it */
};

/* Where mail goes; there is one for mail, and one for probes of addresses
 * (address_verify_...). A table of probes that is also that of mail is shared. */
struct routing {
	const char *local_transport, *virtual_transport, *relay_transport,
	    *default_transport, *relayhost;
	struct maps *transports, *sender_relayhosts, *sender_transports;
};

struct rewriter {
	struct trivial_rewrite_params params;
	struct domain_class classes[CLASS_COUNT];
	struct routing mail, probes;
	bool transport_parents; /* "example.com" in transport_maps includes subdomains */
	struct maps *relocated;
	struct net_address *own; /* addresses that mail is received on */
	size_t own_count;
};
extern struct rewriter rewriter;

/* An address, completed for a context. NULL p: the arena is full. */
struct str rewrite_address_text(
    struct arena *a, enum rewrite_context context, struct str address);
/* Whether a local part names another address: user@site, and as far as the parameters
 * have it user%site and site!user. */
bool rewrite_has_route(struct str local);
/* That other address; NULL p: the arena is full. */
struct str rewrite_route(struct arena *a, struct str local);

/* One question of where an address goes. */
struct question {
	struct arena *arena;
	const struct routing *routing;
	bool complete;     /* completes the address first, for the local context */
	struct str sender; /* counts where the sender decides (sender_dependent_...) */
	bool trouble;      /* a table did not answer: RESOLVE_TRY_LATER */
};
struct resolved resolve_address(struct question *q, struct str address);

/* In mydestination, or an address of ours; trouble is noted in `q`, and logged. */
bool resolve_is_local(struct question *q, struct str domain);

/* What transport_maps says of r->recipient: transport and nexthop are replaced by the
 * parts that the table gives. */
void transport_apply(struct question *q, struct resolved *r);
/* What `maps` says of the sender, by whole address and @domain; the null sender has
 * `null_key`. Empty: nothing, "DUNNO" included, or trouble. */
struct str sender_lookup(struct question *q, struct maps *maps, const char *null_key);
/* True: relocated_maps has the recipient, who is now undeliverable. */
bool relocated_apply(struct question *q, struct resolved *r);
/* "smtp:[host]:25" into its halves, both in the arena; an empty half leaves what is
 * there. */
void transport_split(
    struct arena *a, struct str value, struct str *transport, struct str *nexthop);

#endif
