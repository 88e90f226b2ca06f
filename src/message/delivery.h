/*
 * What every delivery agent understands (private/<transport>): one request, some
 * recipients of one queue file for one destination, and its outcome. The agent marks
 * finished recipients in the file and reports to bounce and defer by itself.
 */
#ifndef MESSAGE_DELIVERY_H
#define MESSAGE_DELIVERY_H

#include "ipc/message.h"
#include "mail/address.h"
#include "mail/why.h"

#define DELIVERY_RECIPIENT_FIELDS(F)  \
	F(I64, offset, 0)             \
	F(STR, address, ADDRESS_MAX)  \
	F(STR, original, ADDRESS_MAX) \
	F(STR, dsn_orcpt, 1024)       \
	F(U32, notify, 0)
IPC_RECORD(delivery_recipient, DELIVERY_RECIPIENT_FIELDS)

enum delivery_flags {
	DELIVERY_VERIFY = 1,          /* probe: do not deliver */
	DELIVERY_TRACE = 2,           /* report success to the trace service */
	DELIVERY_KEEP_CONNECTION = 4, /* more for this destination is waiting */
	DELIVERY_PART = 16, /* of a recipient that has others too: not to be marked */
	DELIVERY_TELL_VERIFY =
	    32, /* of a probe: its outcome goes to verify, not to trace */
	DELIVERY_DELAY_CLEARED = 8, /* the sender was told of a delay: success too */
	DELIVERY_PASSED_ON = 64,    /* by another agent, not by the queue manager */
	/* How often it was passed on again, in two bits: agents that pass to each other
	 * come to an end. */
	DELIVERY_PASSED_AGAIN = 128,
	DELIVERY_PASSED_MOST = 3 * 128,
};

/* Of sendopts: the sender asked for SMTPUTF8 (RFC 6531). */
#define DELIVERY_SMTPUTF8 1u

/* Times are wall clock microseconds. */
#define DELIVERY_REQUEST_FIELDS(F)  \
	F(U32, flags, 0)            \
	F(STR, queue, 40)           \
	F(STR, id, 64)              \
	F(I64, size, 0)             \
	F(STR, nexthop, 2048)       \
	F(STR, sender, ADDRESS_MAX) \
	F(STR, envelope_id, 1024)   \
	F(U32, ret, 0)              \
	F(U32, sendopts, 0)         \
	F(STR, encoding, 16)        \
	F(I64, arrival, 0)          \
	F(I64, active, 0)           \
	F(I64, handed_over, 0)      \
	F(LIST, recipients, delivery_recipient)
IPC_MESSAGE(delivery_request, 1, NEVER, DELIVERY_REQUEST_FIELDS)

/* `left`: some recipient is not finished (deferred). `bounced`: some recipient may have
 * an entry in the bounce log. `hop_status` set: the destination as a whole failed
 * (connect, greeting): counts against its concurrency. */
#define DELIVERY_REPLY_FIELDS(F) \
	F(BOOL, left, 0)         \
	F(BOOL, bounced, 0)      \
	F(STR, hop_status, 10)   \
	F(STR, hop_text, WHY_TEXT_MAX)
IPC_MESSAGE(delivery_reply, 2, NEVER, DELIVERY_REPLY_FIELDS)

#endif
