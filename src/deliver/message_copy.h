/*
 * Copies the content of a queue file to a file, with what agents put before it. Lines end
 * in LF. Blocking calls: for agents that carry one client, and their children.
 */
#ifndef DELIVER_MESSAGE_COPY_H
#define DELIVER_MESSAGE_COPY_H

#include "deliver/delivery.h"

enum message_copy_flags {
	COPY_RETURN_PATH = 1,
	COPY_ORIGINAL_TO = 2, /* X-Original-To */
	COPY_DELIVERED_TO = 4,
	COPY_MBOX = 8, /* From_ line, '>' before "From ", an empty line at the end */
};

/* The From_ line of a mailbox: sender in external form (MAILER-DAEMON when empty), local
 * time as ctime(3) has it. */
void message_from_line(struct buf *out, struct str sender, int64_t wall_seconds);

/* Bytes written to `fd`; -errno; -EBADMSG: the queue file is corrupt; -EFBIG: more than
 * `limit` bytes (0: no limit). Reads only d->file, d->envelope and the recipient. */
MUST_USE int64_t message_copy(
    struct delivery *d, size_t recipient, unsigned flags, int fd, int64_t limit);

/* Whether a Delivered-To field of the message names `address` (internal form) already: a
 * mail loop. 0 or -errno. */
MUST_USE int message_has_delivered_to(
    struct delivery *d, struct str address, bool *found_r);

#endif
