/*
 * What may stand in a maildrop file: the records that sendmail hands to postdrop. Whoever
 * wrote them is a stranger: types, order, attributes and bytes are checked one by one, by
 * postdrop when it takes them. pickup reads the finished file like any queue file, and
 * uses only what is allowed here.
 */
#ifndef QUEUE_MAILDROP_H
#define QUEUE_MAILDROP_H

#include <stdbool.h>
#include "queue/record.h"

enum maildrop_phase {
	MAILDROP_ENVELOPE,
	MAILDROP_CONTENT,
	MAILDROP_EXTRACTED,
	MAILDROP_DONE
};

struct maildrop_check {
	enum maildrop_phase phase;
	bool sender_seen;
	size_t recipients;
};

/* False: the record is not allowed here; *reason_r says why in a few words. */
MUST_USE bool maildrop_check_record(
    struct maildrop_check *c, int type, struct str data, const char **reason_r);

#endif
