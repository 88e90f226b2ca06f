/*
 * A QMQP request: a netstring that holds the message, the sender and the recipients, each
 * a netstring. Addresses are in internal form, taken as they are.
 */
#ifndef QMQPD_REQUEST_H
#define QMQPD_REQUEST_H

#include "base/arena.h"
#include "message/cleanup.h"
#include "qmqpd/netstring.h"

struct request_limits {
	int64_t message, address; /* bytes */
	uint32_t recipients;
};

struct request {
	struct arena *arena;
	struct buf content;
	struct str sender, verp; /* verp: two delimiters, or empty */
	struct cleanup_recipient *recipients;
	uint32_t count, room;
};

void request_init(struct request *r, struct arena *a, int64_t largest_message);
void request_free(struct request *r);
/* Not OK: *part_r is what was being received, "sender address". */
MUST_USE enum netstring_result request_read(struct request *r,
    const struct netstring_source *s, const struct request_limits *limits,
    const char **part_r);
/* "list-@example.com-@[]", as qmail asks for VERP: the sender becomes list@example.com,
 * the delimiters "-=". Others stay. `filter`: which delimiters are good. */
void request_find_verp(struct request *r, const char *filter);

#endif
