/*
 * What cleanup understands (public/cleanup). A client first takes reserved queue ids;
 *they live as long as its connection. A message is submitted on that same connection:
 *
 *	small: cleanup_submit with the content inside, END
 *	large: cleanup_submit (content empty), cleanup_recipients ..., cleanup_content
 *..., END on the last (a cleanup_content may be empty)
 *
 * A cleanup_late may stand before the last cleanup_content: what was decided when the
 * whole text was there,
 *
 * and answered by one cleanup_done. CANCEL at any time removes the file. Content is text
 * with LF line ends, dots unstuffed; a last line may lack its LF.
 */
#ifndef MESSAGE_CLEANUP_H
#define MESSAGE_CLEANUP_H

#include "ipc/message.h"
#include "ipc/wire.h"
#include "mail/address.h"
#include "mail/dsn.h"

#define CLEANUP_IDS_MAX 64

#define CLEANUP_RESERVE_FIELDS(F) F(U32, count, 0)
IPC_MESSAGE(cleanup_reserve, 1, NEVER, CLEANUP_RESERVE_FIELDS)
#define CLEANUP_ID_FIELDS(F) F(STR, id, 64)
IPC_RECORD(cleanup_id, CLEANUP_ID_FIELDS)
#define CLEANUP_RESERVED_FIELDS(F) F(LIST, ids, cleanup_id)
IPC_MESSAGE(cleanup_reserved, 2, NEVER, CLEANUP_RESERVED_FIELDS)

/* An id that was shown to somebody and will not be used: the file goes, "removed
 * (canceled)" is logged. No reply. */
#define CLEANUP_RELEASE_FIELDS(F) F(STR, id, 64)
IPC_MESSAGE(cleanup_release, 3, NEVER, CLEANUP_RELEASE_FIELDS)

enum cleanup_flags {
	CLEANUP_MAP = 1,    /* canonical and virtual maps, masquerading */
	CLEANUP_FILTER = 2, /* header and body checks */
	CLEANUP_BOUNCE =
	    4, /* pickup: a message with bad content is kept, and bounced to its sender */
	CLEANUP_HOLD = 8,
	CLEANUP_DISCARD = 16,
	CLEANUP_DETECT_UTF8 = 32, /* find out whether SMTPUTF8 is needed */
	CLEANUP_COMPLETE =
	    64, /* local origin: rewrite header addresses, add missing fields */
	CLEANUP_BCC = 128,   /* new mail: copies for always_bcc, *_bcc_maps */
	CLEANUP_PROBE = 256, /* of verify: what has several aliases is not delivered to */
};
/* Mail from outside, before receive_override_options. */
#define CLEANUP_EXTERNAL (CLEANUP_MAP | CLEANUP_FILTER | CLEANUP_BCC)

/* In `sendopts`, as in the queue file: MAIL ... SMTPUTF8 (RFC 6531 3.4). */
#define CLEANUP_SENDOPT_SMTPUTF8 1u

#define CLEANUP_ATTRIBUTE_FIELDS(F) \
	F(STR, name, 64)            \
	F(STR, value, 2048)
IPC_RECORD(cleanup_attribute, CLEANUP_ATTRIBUTE_FIELDS)

#define CLEANUP_RECIPIENT_FIELDS(F)   \
	F(STR, address, ADDRESS_MAX)  \
	F(STR, original, ADDRESS_MAX) \
	F(STR, dsn_orcpt, 1024)       \
	F(U32, notify, 0)
IPC_RECORD(cleanup_recipient, CLEANUP_RECIPIENT_FIELDS)

/* `id` empty: cleanup reserves one itself. `received` is the finished Received field,
 * lines with LF, or empty. Attributes go into the file in this order. */
#define CLEANUP_SUBMIT_FIELDS(F)               \
	F(STR, id, 64)                         \
	F(U32, flags, 0)                       \
	F(U32, sendopts, 0)                    \
	F(I64, arrival_seconds, 0)             \
	F(U32, arrival_microseconds, 0)        \
	F(STR, sender, ADDRESS_MAX)            \
	F(STR, full_name, 1024)                \
	F(STR, filter, 2048)                   \
	F(STR, redirect, ADDRESS_MAX)          \
	F(STR, verp, 2)                        \
	F(STR, envelope_id, 1024)              \
	F(U32, ret, 0)                         \
	F(STR, client, 512)                    \
	F(STR, helo, 512)                      \
	F(STR, protocol, 16)                   \
	F(LIST, attributes, cleanup_attribute) \
	F(LIST, recipients, cleanup_recipient) \
	F(BYTES, received, 4096)               \
	F(BYTES, content, WIRE_PAYLOAD_MAX)
IPC_MESSAGE(cleanup_submit, 4, NEVER, CLEANUP_SUBMIT_FIELDS)

#define CLEANUP_RECIPIENTS_FIELDS(F) F(LIST, recipients, cleanup_recipient)
IPC_MESSAGE(cleanup_recipients, 5, NEVER, CLEANUP_RECIPIENTS_FIELDS)
#define CLEANUP_CONTENT_FIELDS(F) F(BYTES, bytes, WIRE_PAYLOAD_MAX)
IPC_MESSAGE(cleanup_content, 6, NEVER, CLEANUP_CONTENT_FIELDS)

/* `flags` are added to those of the submission; `filter` and `redirect` count before its
 * own when not empty, and what header and body checks say before both. Of each of the
 * `copies` only the address and what it is to be told of count. */
#define CLEANUP_LATE_FIELDS(F)        \
	F(U32, flags, 0)              \
	F(STR, filter, 2048)          \
	F(STR, redirect, ADDRESS_MAX) \
	F(LIST, copies, cleanup_recipient)
IPC_MESSAGE(cleanup_late, 8, NEVER, CLEANUP_LATE_FIELDS)

/* One row per outcome: name, SMTP code, enhanced status, text of the reply. */
#define CLEANUP_STATUS(S)                                                        \
	S(CLEANUP_OK, 250, "2.0.0", "Ok")                                        \
	S(CLEANUP_WRITE_ERROR, 451, "4.3.0", "Error: queue file write error")    \
	S(CLEANUP_NO_SPACE, 452, "4.3.1", "Error: insufficient system storage")  \
	S(CLEANUP_TOO_BIG, 552, "5.3.4", "Error: message file too big")          \
	S(CLEANUP_CONTENT, 550, "5.7.1", "Error: content rejected")              \
	S(CLEANUP_HOPS, 554, "5.4.0", "Error: too many hops")                    \
	S(CLEANUP_NO_RECIPIENTS, 550, "5.1.0", "Error: no recipients specified") \
	S(CLEANUP_BAD, 451, "4.3.0", "Error: internal error")                    \
	S(CLEANUP_DEFER, 451, "4.7.1", "Error: service unavailable")             \
	S(CLEANUP_TABLE, 451, "4.3.0", "Error: queue file write error")
enum cleanup_status {
#define CLEANUP_STATUS_ENUM(name, code, status, text) name,
	CLEANUP_STATUS(CLEANUP_STATUS_ENUM)
#undef CLEANUP_STATUS_ENUM
};

/* `reason` replaces the text of the row when not empty (it may start with an enhanced
 * code). `size` is the logged message size. */
#define CLEANUP_REASON_MAX 2048
#define CLEANUP_DONE_FIELDS(F)             \
	F(U32, status, 0)                  \
	F(STR, id, 64)                     \
	F(STR, reason, CLEANUP_REASON_MAX) \
	F(I64, size, 0)
IPC_MESSAGE(cleanup_done, 7, NEVER, CLEANUP_DONE_FIELDS)

#endif
