/*
 * The socket to the syslog daemon: one RFC 3164 datagram a line. The socket blocks, so a
 * full log slows us down instead of losing lines. For log.c only.
 */
#ifndef BASE_LOG_SYSLOG_H
#define BASE_LOG_SYSLOG_H

#include "base/str.h"

/* The number for "mail", "local0" ..., or -EINVAL. */
int log_syslog_facility(struct str name);
/* Descriptor or -errno. */
MUST_USE int log_syslog_connect(void);
/* 0 or -errno. Connects (again) when there is no daemon at the other end; *fd is
 * replaced. */
MUST_USE int log_syslog_send(int *fd, struct str line);
/* Tests: another socket than /dev/log; the string must stay. */
void log_syslog_path(const char *path);

#endif
