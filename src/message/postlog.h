/*
 * What postlogd understands (public/postlog): one datagram is one line of the log, from a
 * program that cannot open maillog_file itself. Nothing is answered. Not the inner
 * protocol's frames: the datagram is the payload of one postlog_line, and its bounds are
 * those of the log (base/log.h).
 */
#ifndef MESSAGE_POSTLOG_H
#define MESSAGE_POSTLOG_H

#include "base/log.h"
#include "ipc/message.h"

/* level: enum log_level. text: with the word of its level ("warning: "), no prefix. */
#define POSTLOG_LINE_FIELDS(F)   \
	F(U8, level, 0)          \
	F(U32, pid, 0)           \
	F(STR, tag, LOG_TAG_MAX) \
	F(STR, text, LOG_LINE_MAX)
IPC_MESSAGE(postlog_line, 1, NEVER, POSTLOG_LINE_FIELDS)

/* Bytes of the longest datagram. */
#define POSTLOG_DATAGRAM_MAX (1 + 4 + 4 + LOG_TAG_MAX + 4 + LOG_LINE_MAX)

/* Also refuses a level that is none, pid 0 and an empty tag. The strings point into
 * `datagram`. */
MUST_USE bool postlog_read(struct str datagram, struct postlog_line *r);

#endif
