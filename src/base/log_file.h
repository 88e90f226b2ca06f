/*
 * The log as a file or stream that several processes append to at the same time. For
 * log.c only.
 *
 * Whoever writes to a log file holds a shared flock on it as long as it is open. So a
 * program that has renamed the file (postfix logrotate) knows, by getting an exclusive
 * lock on it, that the last writer has gone over to the new one, and may pack it.
 */
#ifndef BASE_LOG_FILE_H
#define BASE_LOG_FILE_H

#include <stdbool.h>
#include "base/str.h"

/* Opens for appending, makes the file with mode 0600. The file is the one that the path
 * names when the call returns, also if it was renamed meanwhile. Descriptor or -errno. */
MUST_USE int log_file_open(const char *path);
/* The path does not name the open file any more (renamed, removed). False when that
 * cannot be told. */
MUST_USE bool log_file_is_moved(int fd, const char *path);

/*
 * Writes whole lines ("\n" after each); waits while a pipe is full. At most `piece`
 * bytes go into one write, cut at line ends: with PIPE_BUF, and no line longer than
 * that, lines of several writers of one pipe never mix. *lost_r counts lines that were
 * not written, -errno of the last one is the result; 0 when all were.
 */
MUST_USE int log_file_write(int fd, struct str lines, size_t piece, unsigned *lost_r);

#endif
