#include "message/postlog.h"

#include "ipc/message_body.h"

IPC_MESSAGE_BODY(postlog_line, POSTLOG_LINE_FIELDS)

bool postlog_read(struct str datagram, struct postlog_line *r)
{
	struct postlog_line line;
	if (!postlog_line_read(datagram, NULL, &line) || line.level > LOG_LEVEL_PANIC ||
	    line.pid == 0 || line.pid > INT32_MAX || line.tag.len == 0)
		return false;
	*r = line;
	return true;
}
