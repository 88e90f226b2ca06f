/*
 * What trivial-rewrite understands (private/rewrite). Both requests work on batches and
 * may be repeated. Addresses are in internal form.
 */
#ifndef MESSAGE_REWRITE_H
#define MESSAGE_REWRITE_H

#include "ipc/message.h"
#include "mail/address.h"

#define REWRITE_ADDRESS_FIELDS(F) F(STR, address, ADDRESS_MAX)
IPC_RECORD(rewrite_address, REWRITE_ADDRESS_FIELDS)

enum rewrite_context { REWRITE_LOCAL = 1, REWRITE_REMOTE = 2 };

/* Completes addresses (append_at_myorigin, ...) for a context. */
#define REWRITE_REQUEST_FIELDS(F) \
	F(U8, context, 0)         \
	F(LIST, addresses, rewrite_address)
IPC_MESSAGE(rewrite_request, 1, SAFE, REWRITE_REQUEST_FIELDS)

/* In the order of the request. */
#define REWRITE_REPLY_FIELDS(F) F(LIST, addresses, rewrite_address)
IPC_MESSAGE(rewrite_reply, 2, SAFE, REWRITE_REPLY_FIELDS)

enum resolve_how {
	RESOLVE_COMPLETE = 1, /* the addresses were not completed for the local context */
	RESOLVE_PROBE = 2,    /* where a probe goes (address_verify_...) */
};

/* Where does it go: transport, next hop, recipient as the agent shall see it. `how`: of
 * enum resolve_how. */
#define RESOLVE_REQUEST_FIELDS(F)   \
	F(U8, how, 0)               \
	F(STR, sender, ADDRESS_MAX) \
	F(LIST, addresses, rewrite_address)
IPC_MESSAGE(resolve_request, 3, SAFE, RESOLVE_REQUEST_FIELDS)

enum resolve_flags {
	RESOLVE_CLASS_LOCAL = 1,
	RESOLVE_CLASS_VIRTUAL_ALIAS = 2,
	RESOLVE_CLASS_VIRTUAL_MAILBOX = 4,
	RESOLVE_CLASS_RELAY = 8,
	RESOLVE_CLASS_DEFAULT = 16,
	RESOLVE_ERROR = 256,     /* cannot be an address: 5.1.3 */
	RESOLVE_TRY_LATER = 512, /* a table did not answer: defer */
	RESOLVE_ROUTED = 1024,   /* sender-specified routing: user%x@y, x!y */
};

#define RESOLVED_FIELDS(F)     \
	F(U32, flags, 0)       \
	F(STR, transport, 256) \
	F(STR, nexthop, 2048)  \
	F(STR, recipient, ADDRESS_MAX)
IPC_RECORD(resolved, RESOLVED_FIELDS)
#define RESOLVE_REPLY_FIELDS(F) F(LIST, results, resolved)
IPC_MESSAGE(resolve_reply, 4, SAFE, RESOLVE_REPLY_FIELDS)

#endif
