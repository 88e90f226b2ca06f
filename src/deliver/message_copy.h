/*
 * Copies the content of a queue file to a file, with what agents put before it. Lines end
 * in LF.
 */
#ifndef DELIVER_MESSAGE_COPY_H
#define DELIVER_MESSAGE_COPY_H

#include "deliver/delivery.h"

enum message_copy_flags {
	COPY_RETURN_PATH = 1,
	COPY_DELIVERED_TO = 2,
	COPY_ORIGINAL_TO = 4, /* X-Original-To */
	COPY_FROM_LINE = 8,   /* mbox "From sender date", >From quoting, empty line at the end */
};

/* Writes to `fd` through a buffer (blocking calls). Bytes written, or -errno; a corrupt queue file is
 * -EBADMSG. At most `limit` bytes (0: none), -EFBIG beyond. */
MUST_USE int64_t message_copy(struct delivery *d, size_t recipient, unsigned flags, int fd,
    int64_t limit);

/* True when a Delivered-To field of the message already names the address: a mail loop. */
MUST_USE int message_has_delivered_to(struct delivery *d, struct str address, bool *found_r);

#endif
