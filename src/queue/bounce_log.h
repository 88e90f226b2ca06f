/*
 * Logs of delivery status per message (queues bounce, defer, trace): blocks of name=value
 * lines (inventory g). Written by bounce, read by bounce and showq. Values hold no
 * control bytes; lines longer than BOUNCE_LOG_LINE are cut.
 */
#ifndef QUEUE_BOUNCE_LOG_H
#define QUEUE_BOUNCE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define BOUNCE_LOG_LINE     8192
#define BOUNCE_LOG_SIZE_MAX (64 * 1024 * 1024)

struct bounce_entry {
	struct str recipient, original, dsn_orcpt; /* internal forms */
	int64_t offset;
	uint32_t notify;
	struct str status, action; /* "4.4.1", "delayed" */
	struct str diag_type, diag_text, mta_type, mta_name, reason;
};

/* With the old-style line when `old_style` (backwards_bounce_logfile_compatibility). */
void bounce_log_write(struct buf *out, const struct bounce_entry *e, bool old_style);

struct bounce_log_reader {
	struct str rest;
	struct buf unquoted; /* holds recipient and original of the entry given last */
};
void bounce_log_reader_init(struct bounce_log_reader *r, struct str text);
void bounce_log_reader_free(struct bounce_log_reader *r);
/* Next well-formed entry (others are skipped); false at the end. Valid until the next
 * call. */
MUST_USE bool bounce_log_next(struct bounce_log_reader *r, struct bounce_entry *e_r);

#endif
