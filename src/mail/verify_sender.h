/*
 * The sender of probes (address_verify_sender). With address_verify_sender_ttl its local
 * part ends in the number of the time slice, in digits of 31 letters that look like no
 * other, so that what is sent to an old one can be refused.
 */
#ifndef MAIL_VERIFY_SENDER_H
#define MAIL_VERIFY_SENDER_H

#include "base/buf.h"

struct verify_sender {
	struct str
	    address;       /* address_verify_sender: "double-bounce", "x@y", "<>" or "" */
	struct str origin; /* domain of a sender without one (myorigin) */
	int64_t ttl;       /* seconds; 0: it never changes */
};

/* The sender at this time; empty: the null sender. */
void verify_sender_write(
    struct buf *out, const struct verify_sender *s, int64_t wall_seconds);
/* Whether `address` is the sender of now, or of the slice before or behind it: answers
 * may be late, and clocks differ. */
bool verify_sender_is(
    const struct verify_sender *s, struct str address, int64_t wall_seconds);

#endif
