/*
 * What bounce understands, under three service names (private/bounce, private/defer,
 * private/trace): add a recipient's status to the message's log; make a notice from the
 * log. The answer to an addition means: synced.
 */
#ifndef MESSAGE_BOUNCE_H
#define MESSAGE_BOUNCE_H

#include "ipc/message.h"
#include "mail/address.h"
#include "mail/why.h"

#define BOUNCE_ADD_FIELDS(F)            \
	F(STR, id, 64)                  \
	F(I64, offset, 0)               \
	F(STR, recipient, ADDRESS_MAX)  \
	F(STR, original, ADDRESS_MAX)   \
	F(STR, dsn_orcpt, 1024)         \
	F(U32, notify, 0)               \
	F(STR, status, 10)              \
	F(STR, action, 16)              \
	F(STR, reason, WHY_TEXT_MAX)    \
	F(STR, diag_type, 32)           \
	F(STR, diag_text, WHY_TEXT_MAX) \
	F(STR, mta_name, 512)
IPC_RECORD(bounce_add_entry, BOUNCE_ADD_FIELDS)
/* Several recipients of one message at once share one sync. */
#define BOUNCE_APPEND_FIELDS(F) F(LIST, entries, bounce_add_entry)
IPC_MESSAGE(bounce_append, 1, NEVER, BOUNCE_APPEND_FIELDS)

enum bounce_notice {
	BOUNCE_NOTICE_FAILURE = 1, /* from the bounce log; the log is removed */
	BOUNCE_NOTICE_DELAY = 2,   /* from the defer log; the log stays */
	BOUNCE_NOTICE_TRACE = 3, /* from the trace log; removed: the report of -v, -bv */
	BOUNCE_NOTICE_SUCCESS = 4, /* the same, of success alone */
};
#define BOUNCE_SMTPUTF8 1u /* of sendopts (RFC 6531) */
/* The queue file is still there, in `queue`. With `verp` (two delimiters) each recipient
 * has a notice of its own, to the sender that its copy had. */
#define BOUNCE_SEND_FIELDS(F)       \
	F(U8, notice, 0)            \
	F(STR, queue, 40)           \
	F(STR, id, 64)              \
	F(STR, sender, ADDRESS_MAX) \
	F(STR, envelope_id, 1024)   \
	F(U32, ret, 0)              \
	F(U32, sendopts, 0)         \
	F(STR, encoding, 16)        \
	F(STR, verp, 2)
IPC_MESSAGE(bounce_send, 2, NEVER, BOUNCE_SEND_FIELDS)

/* Tells a list's owner at once that this one recipient failed; no log keeps it. `queue`
 * as above; `sender` is the message's, whose other wishes (RET, ENVID) are not the
 * owner's. */
#define BOUNCE_ONE_FIELDS(F)               \
	F(LIST, entries, bounce_add_entry) \
	F(STR, queue, 40)                  \
	F(STR, owner, ADDRESS_MAX)         \
	F(STR, sender, ADDRESS_MAX)        \
	F(U32, sendopts, 0)                \
	F(STR, encoding, 16)
IPC_MESSAGE(bounce_one, 5, NEVER, BOUNCE_ONE_FIELDS)

#define BOUNCE_REPLY_FIELDS(F) \
	F(BOOL, done, 0)       \
	F(STR, reason, WHY_TEXT_MAX)
IPC_MESSAGE(bounce_reply, 4, NEVER, BOUNCE_REPLY_FIELDS)

#endif
