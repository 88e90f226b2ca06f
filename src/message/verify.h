/*
 * What verify understands (private/verify): is this address deliverable? smtpd asks, and
 * asks again while a probe is on its way; a delivery agent that had the probe tells what
 * it found out. Both may be repeated: an answer changes nothing but the cache.
 */
#ifndef MESSAGE_VERIFY_H
#define MESSAGE_VERIFY_H

#include "ipc/message.h"
#include "mail/address.h"
#include "mail/why.h"

/* As they stand in the cache file, which is Postfix's too. */
enum verify_status {
	VERIFY_DELIVERABLE = 0,
	VERIFY_TRY_LATER = 1,     /* the probe failed for now (4xx) */
	VERIFY_UNDELIVERABLE = 2, /* for good (5xx) */
	VERIFY_UNKNOWN = 3,       /* a probe is on its way */
};
#define VERIFY_STATUS_LAST VERIFY_UNKNOWN

/* The address as the client gave it. */
#define VERIFY_QUERY_FIELDS(F) F(STR, address, ADDRESS_MAX)
IPC_MESSAGE(verify_query, 1, SAFE, VERIFY_QUERY_FIELDS)

/* What became of a probe to `address`: enum verify_status, and the agent's words. */
#define VERIFY_UPDATE_FIELDS(F)      \
	F(STR, address, ADDRESS_MAX) \
	F(U8, status, 0)             \
	F(STR, text, WHY_TEXT_MAX)
IPC_MESSAGE(verify_update, 2, SAFE, VERIFY_UPDATE_FIELDS)

/* Of a query what is known; of an update what was told. */
#define VERIFY_REPLY_FIELDS(F) \
	F(U8, status, 0)       \
	F(STR, text, WHY_TEXT_MAX)
IPC_MESSAGE(verify_reply, 3, SAFE, VERIFY_REPLY_FIELDS)

#endif
