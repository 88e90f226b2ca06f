/* Opens the log as main.cf says: for commands, daemons and master alike. */
#ifndef SERVICE_LOG_SETUP_H
#define SERVICE_LOG_SETUP_H

#include "common_params.h"

/*
 * `program` is the last part of the tag ("smtpd"). A maillog_file that cannot be opened
 * is said once; the log then goes to syslog. Fatal: an unknown syslog_facility.
 */
void log_setup(const struct common_params *common, const char *program);
/* Before the configuration is read: faults in it go to syslog and standard error. */
void log_setup_early(const char *program);

#endif
