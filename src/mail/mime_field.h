/* What Content-Type and Content-Transfer-Encoding say (RFC 2045 5, 6), for the MIME
 * recogniser. Lenient: comments and blanks anywhere between words, what is not understood
 * is MIME_TYPE_OTHER or MIME_ENCODING_OTHER. */
#ifndef MAIL_MIME_FIELD_H
#define MAIL_MIME_FIELD_H

#include "mail/mime.h"

struct mime_content_type {
	enum mime_type type;
	bool digest;         /* multipart/digest: parts are messages by default */
	struct buf boundary; /* of a multipart, without quotes; born with its ceiling */
};

/* `body`: behind the field's colon. `r` is overwritten but for the ceiling. */
void mime_parse_type(struct str body, struct mime_content_type *r);
enum mime_encoding mime_parse_encoding(struct str body);

#endif
