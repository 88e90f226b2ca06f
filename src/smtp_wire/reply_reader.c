#include "smtp_wire/reply_reader.h"

#include <errno.h>

/* One line, cut at REPLY_LINE_MAX; what is beyond is read and forgotten. */
static int read_line(struct stream *s, struct buf *line)
{
	bool cut;
	ssize_t got = stream_read_line(s, line, REPLY_LINE_MAX, &cut);
	if (got < 0)
		return (int)got;
	CLEANUP(buf_free) struct buf rest = BUF_INIT(REPLY_LINE_MAX + 1);
	for (unsigned pieces = 0; cut; pieces++) {
		got = stream_read_line(s, &rest, REPLY_LINE_MAX, &cut);
		if (got < 0)
			return (int)got;
		if (pieces == REPLY_LINES_MAX)
			return -EBADMSG;
	}
	return 0;
}

int reply_read(struct stream *s, struct reply *r)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_LINE_MAX + 1);
	reply_clear(r);
	for (unsigned lines = 0; lines < REPLY_LINES_MAX; lines++) {
		int more = read_line(s, &line);
		if (more == 0)
			more = reply_add_line(r, str_trim(buf_str(&line)));
		if (more <= 0)
			return more;
	}
	return -EBADMSG;
}
