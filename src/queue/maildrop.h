/*
 * Mail on its way in from users: the records that postdrop takes on its standard input,
 * and the files that it writes for pickup. Everybody on this machine may call postdrop,
 * and may write into a file that is his own, so both sides read as strictly:
 *
 *	[T]  A S F V i n R ...  M  N L ...  X  A R ...  E
 *
 * T only in files. No control bytes outside the content, a sender before the first
 * recipient, at least one recipient in all, of the attributes only those that concern
 * what a user may decide. No pointers, no marks, no sizes.
 */
#ifndef QUEUE_MAILDROP_H
#define QUEUE_MAILDROP_H

#include "queue/queue_file.h"

enum maildrop_segment {
	MAILDROP_ENVELOPE,
	MAILDROP_CONTENT,
	MAILDROP_EXTRACTED,
	MAILDROP_COMPLETE
};

struct maildrop_check {
	enum maildrop_segment segment;
	bool needs_time; /* a file: T comes first */
	bool has_sender;
	size_t recipients, attributes;
};

enum maildrop_verdict {
	MAILDROP_TAKE,
	MAILDROP_SKIP,       /* leave this record out; the reason is worth a warning */
	MAILDROP_UNEXPECTED, /* this type must not stand here */
	MAILDROP_BAD,        /* its data is not acceptable */
	MAILDROP_END,        /* the end record, and all is there */
	MAILDROP_INCOMPLETE, /* the end record, but no sender or no recipient came */
};

void maildrop_check_init(struct maildrop_check *c, bool is_file);
/* Every record in turn. `reason` is filled for all but TAKE and END. */
enum maildrop_verdict maildrop_check(
    struct maildrop_check *c, int type, struct str data, struct buf *reason);

struct maildrop {
	bool requeued; /* read as a queue file */
	struct queue_envelope envelope;
	struct queue_recipient *recipients; /* envelope and extracted segment */
	size_t recipient_count;
};

/* Reads all but the content, whose records are checked; then queue_file_content_start
 * and _next give it. A file that starts with a size record was put back by
 * `postsuper -r` and is read as a queue file, but only when `requeued` (it belongs to the
 * mail owner). Strings live in the arena. 0, -ENOMEM, -errno, or -EBADMSG with
 * `reason`. */
MUST_USE int maildrop_read(struct queue_file *f, bool requeued, struct arena *a,
    struct maildrop *m_r, struct buf *reason);

#endif
