/*
 * Header fields of a message (RFC 5322 2.2): is this line a field, where does its name
 * end, which known field is it. One row per known name.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum header_id {
	HEADER_OTHER,
	HEADER_APPARENTLY_TO,
	HEADER_BCC,
	HEADER_CC,
	HEADER_CONTENT_DESCRIPTION,
	HEADER_CONTENT_DISPOSITION,
	HEADER_CONTENT_ID,
	HEADER_CONTENT_LENGTH,
	HEADER_CONTENT_TRANSFER_ENCODING,
	HEADER_CONTENT_TYPE,
	HEADER_DATE,
	HEADER_DELIVERED_TO,
	HEADER_DISPOSITION_NOTIFICATION_TO,
	HEADER_ERRORS_TO,
	HEADER_FROM,
	HEADER_IN_REPLY_TO,
	HEADER_LINES,
	HEADER_MAIL_FOLLOWUP_TO,
	HEADER_MESSAGE_ID,
	HEADER_MIME_VERSION,
	HEADER_RECEIVED,
	HEADER_REFERENCES,
	HEADER_REPLY_TO,
	HEADER_RESENT_BCC,
	HEADER_RESENT_CC,
	HEADER_RESENT_DATE,
	HEADER_RESENT_FROM,
	HEADER_RESENT_MESSAGE_ID,
	HEADER_RESENT_REPLY_TO,
	HEADER_RESENT_SENDER,
	HEADER_RESENT_TO,
	HEADER_RETURN_PATH,
	HEADER_RETURN_RECEIPT_TO,
	HEADER_SENDER,
	HEADER_SUBJECT,
	HEADER_TO,
	HEADER_TLS_REQUIRED,
	HEADER_COUNT
};

enum header_flags {
	HEADER_IS_SENDER = 1,    /* holds addresses of the sender class */
	HEADER_IS_RECIPIENT = 2, /* holds addresses of the recipient class */
	HEADER_IS_RESENT = 4,
	HEADER_EXTRACT = 8, /* sendmail -t takes recipients from it */
	HEADER_DROP = 16,   /* removed on input unless kept by a parameter: Bcc, ... */
	HEADER_IS_MIME = 32,
};

struct header_row {
	struct str name; /* "Message-ID" as written by us */
	enum header_id id;
	uint32_t flags;
};

/* Length of the field name when `line` starts a field ("Name:" or "Name :"), else 0.
 * Names are printable ASCII without blank and colon. */
size_t header_name_length(struct str line);
const struct header_row *header_find(struct str name); /* HEADER_OTHER row when unknown */
/* What follows the colon, blanks trimmed; `field` is the whole, folded lines included. */
struct str header_body(struct str field);

#endif
