/*
 * The way of log lines to maillog_file for programs that may not open it: one datagram a
 * line to the postlog service (message/postlog.h). The set-group-ID commands reach its
 * socket, and so does root; for all others the line goes by way of postlog(1), which is
 * set-group-ID.
 */
#ifndef SERVICE_LOG_RELAY_H
#define SERVICE_LOG_RELAY_H

#include "base/log.h"
#include "common_params.h"

/* Where the service is. Opens nothing yet. */
void log_relay_setup(const struct common_params *common);
/* For postlog(1): it is what others start, so it starts nobody. */
void log_relay_without_command(void);
/* For log_relay_to. False: nobody took the line within a second. */
bool log_relay_send(enum log_level level, struct str tag, struct str text);

#endif
