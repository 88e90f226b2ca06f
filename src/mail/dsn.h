/*
 * Delivery status: enhanced codes (RFC 3463), xtext and the NOTIFY, RET, ENVID, ORCPT
 * parameters (RFC 3461).
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

enum dsn_notify {
	DSN_NOTIFY_NEVER = 1,
	DSN_NOTIFY_SUCCESS = 2,
	DSN_NOTIFY_FAILURE = 4,
	DSN_NOTIFY_DELAY = 8
};
enum dsn_ret { DSN_RET_DEFAULT = 0, DSN_RET_FULL = 1, DSN_RET_HDRS = 2 };

#define DSN_STATUS_MAX 10
#define DSN_ENVID_MAX  100 /* bytes of xtext, RFC 3461 4.4 */
#define DSN_ORCPT_MAX  500 /* RFC 3461 4.2 */

/* "2.1.5" at the start of `text`: class 2, 4 or 5, one to three digits each. Length or 0.
 */
size_t dsn_status_at(struct str text);
MUST_USE bool dsn_status_valid(struct str status);

/* "SUCCESS,FAILURE"; NEVER alone. False: syntax. */
MUST_USE bool dsn_notify_parse(struct str text, uint32_t *flags_r);
void dsn_notify_add(struct buf *out, uint32_t flags);
MUST_USE bool dsn_ret_parse(struct str text, uint32_t *ret_r);

/* RFC 3461 4: printable ASCII but + and =, others as +HH. */
void xtext_encode(struct buf *out, struct str raw);
MUST_USE bool xtext_decode(struct buf *out,
    struct str
	text); /* Control bytes, also encoded, and bad hex: false, nothing added. */

/* "rfc822;user+40host": type and decoded address, as kept in the queue file
 * ("rfc822;user@host"). utf-8 type per RFC 6533. False: syntax. */
MUST_USE bool dsn_orcpt_parse(struct str text, struct buf *out);

#endif
