/*
 * Builds the bytes of a queue file in memory or piecewise: the size record is a
 * placeholder that queue_size_record fills when all is known.
 */
#ifndef QUEUE_QUEUE_WRITE_H
#define QUEUE_QUEUE_WRITE_H

#include <sys/time.h>
#include "mail/dsn.h"
#include "queue/record.h"

#define QUEUE_SIZE_RECORD 97 /* bytes of the C record */

struct queue_size {
	int64_t content_size, content_offset, recipients, flags, message_size, sendopts;
};
void queue_size_record(char out[QUEUE_SIZE_RECORD], const struct queue_size *s);
void queue_time_record(struct buf *out, struct timeval when);

struct queue_write_recipient {
	struct str address, original, dsn_orcpt;
	uint32_t notify;
};
/* notify_flags, dsn_orig_rcpt, O, R in this order. */
void queue_recipient_records(struct buf *out, const struct queue_write_recipient *r);
/* The next record of a text line of any length without its line end: L with `limit` bytes
 * (line_length_limit) of it, true; or N with the rest. */
bool queue_text_record(struct buf *out, struct str *line, size_t limit);

#endif
