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
	COPY_FROM_LINE = 8,
	COPY_QUOTE_FROM = 16, /* '>' before "From " */
	COPY_BLANK_END = 32,  /* an empty line at the end */
	COPY_STUFF_DOTS = 64, /* '.' before a line that begins with one */
	COPY_MBOX = COPY_FROM_LINE | COPY_QUOTE_FROM | COPY_BLANK_END,
};

/* How it is written. Which addresses the fields name is up to delivery_rcpt. */
struct message_style {
	unsigned flags;
	const char *eol; /* NULL: "\n" */
	const char
	    *null_sender; /* shown in place of an empty sender; NULL: as is usual */
};

/* The From_ line of a mailbox: sender in external form (MAILER-DAEMON when empty), local
 * time as ctime(3) has it. */
void message_from_line(struct buf *out, struct str sender, int64_t wall_seconds);

/* What stands before the message: the lines that the style asks for, each ended. */
void message_fields(
    struct buf *out, const struct delivery_rcpt *rcpt, const struct message_style *style);

/* Bytes written to `fd`; -errno; -EBADMSG: the queue file is corrupt; -EFBIG: more than
 * `limit` bytes (0: no limit). Reads only d->file, d->envelope and the recipient. */
MUST_USE int64_t message_copy(struct delivery *d, size_t recipient,
    const struct message_style *style, int fd, int64_t limit);

struct delivered_to {
	bool any;   /* there are Delivered-To fields */
	bool found; /* one names the address (internal form) already: a mail loop */
};

/* What the Delivered-To fields of the message say. 0 or -errno. */
MUST_USE int message_delivered_to(
    struct delivery *d, struct str address, struct delivered_to *fields_r);

#endif
