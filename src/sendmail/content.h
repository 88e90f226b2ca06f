/*
 * The message as it comes on standard input, turned into records piece by piece, with
 * sendmail's rules: "From " lines at the top are dropped, a line of one dot ends it, line
 * ends may be CR LF; and with -t the fields of its header that name recipients (RFC 5322
 * 3.6.3 and 3.6.6). Memory is bounded by one line piece and one header field.
 */
#ifndef SENDMAIL_CONTENT_H
#define SENDMAIL_CONTENT_H

#include <stdbool.h>
#include "base/buf.h"

#define CONTENT_FIELD_MAX 102400 /* bytes of one header field */

enum content_line_ends { CONTENT_ALWAYS, CONTENT_STRICT, CONTENT_NEVER };

struct content {
	struct buf *records; /* N and L are added there */
	size_t line_max;     /* line_length_limit */
	bool extract, dot_is_text;
	enum content_line_ends line_ends; /* sendmail_fix_line_endings */

	/* With `extract`: the body of each field that names recipients. */
	void (*recipients)(void *context, struct str body, bool resent);
	void *context;

	struct buf line; /* of the line that is being collected: what is not out yet */
	struct buf field;
	bool first_end_seen, started, in_line, dropping, in_body, ended, too_long;
};

void content_init(struct content *c, struct buf *records, size_t line_max);
void content_free(struct content *c);
/* False: the message has ended with a dot, or its header is too long (c->too_long). */
MUST_USE bool content_text(struct content *c, struct str text);
/* At the end of input, or of the message. */
void content_end(struct content *c);

#endif
