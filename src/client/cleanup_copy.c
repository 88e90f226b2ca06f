#include "client/cleanup_copy.h"

int cleanup_message_copy(struct cleanup_message *m, struct queue_file *f,
    const struct queue_envelope *e, bool header_only, int64_t deadline)
{
	CLEANUP(buf_free) struct buf piece = BUF_INIT(WIRE_CHUNK + RECORD_DATA_MAX + 1);
	struct str line;
	bool whole;
	int more = 0, error = 0;
	queue_file_content_start(f, e);
	while (error == 0 && (more = queue_file_content_next(f, &line, &whole)) == 1) {
		if (header_only && line.len == 0)
			break;
		buf_add_str(&piece, line);
		if (whole)
			buf_add_char(&piece, '\n');
		if (piece.len < WIRE_CHUNK)
			continue;
		error = cleanup_message_add(m, buf_str(&piece), deadline);
		buf_clear(&piece);
	}
	if (error == 0 && more < 0)
		error = more;
	return error != 0 ? error : cleanup_message_add(m, buf_str(&piece), deadline);
}
