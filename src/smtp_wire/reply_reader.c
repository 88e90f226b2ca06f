#include "smtp_wire/reply_reader.h"

#include <errno.h>

/* One line, cut at REPLY_LINE_MAX; what is beyond is read and forgotten. `room` is what
 * the reply may still take. */
static int read_line(struct stream *s, struct buf *line, size_t *room)
{
	CLEANUP(buf_free) struct buf rest = BUF_INIT(REPLY_LINE_MAX + 1);
	bool cut;
	ssize_t got = stream_read_line(s, line, REPLY_LINE_MAX, &cut);
	while (got >= 0) {
		if ((size_t)got > *room)
			return -EBADMSG;
		*room -= (size_t)got;
		if (!cut)
			return 0;
		got = stream_read_line(s, &rest, REPLY_LINE_MAX, &cut);
	}
	return (int)got;
}

static bool starts_with_code(struct str line)
{
	for (size_t i = 0; i < 3; i++)
		if (i >= line.len || !ascii_is_digit(line.p[i]))
			return false;
	return line.len == 3 || line.p[3] == ' ' || line.p[3] == '-';
}

int reply_take_line(struct reply *r, struct str line)
{
	if (line.len == 0 || !ascii_is_digit(line.p[0]))
		return 1;
	line = str_trim(line);
	return starts_with_code(line) ? reply_add_line(r, line) : 1;
}

int reply_read(struct stream *s, struct reply *r, reply_filter *filter, void *context)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_LINE_MAX + 1);
	size_t room = REPLY_BYTES_MAX;
	int more;
	reply_clear(r);
	do {
		more = read_line(s, &line, &room);
		if (more == 0 && filter != NULL)
			filter(context, &line);
		if (more == 0)
			more = reply_take_line(r, buf_str(&line));
	} while (more > 0);
	return more;
}
