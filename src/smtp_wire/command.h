/*
 * The command line of an SMTP client (RFC 5321 4.1.1), as the server reads it: at most
 * `max` bytes, the rest of a longer line is discarded (bounded by a total) and flagged.
 */
#ifndef SMTP_WIRE_COMMAND_H
#define SMTP_WIRE_COMMAND_H

#include <stdbool.h>
#include "base/buf.h"
#include "net/stream.h"

#define COMMAND_DISCARD_MAX \
	(1024 * 1024) /* bytes of one over-long line before we hang up */

struct smtp_command {
	struct str verb;      /* as sent, without blanks; empty for an empty line */
	struct str arguments; /* after the verb, blanks at both ends removed */
	bool too_long;        /* cut: the reply is up to the caller */
	bool bare_lf;         /* line ended without CR */
};

/*
 * Reads one line into `line` and splits it; the strs point into `line`. NUL bytes become
 * blanks. 0, STREAM_EOF, -ETIMEDOUT, ...; -EMSGSIZE after COMMAND_DISCARD_MAX.
 */
MUST_USE int smtp_command_read(
    struct stream *s, struct buf *line, size_t max, struct smtp_command *c_r);
/* The same on a line in memory (without line end); for tests and fuzzing. */
void smtp_command_split(struct str line, struct smtp_command *c_r);

/* ESMTP parameters "NAME=VALUE NAME ..." (RFC 5321 4.1.1.11). False at the end. A name
 * without '=' has value.p NULL. */
bool smtp_parameter_next(struct str *rest, struct str *name_r, struct str *value_r);

#endif
