/*
 * Opens the log as main.cf says: maillog_file when set, else syslog.
 *
 * Who may opens maillog_file and appends to it by himself: daemons (before the jail and
 * with root's rights), master, commands of root or of the owner of an instance. Commands
 * that may not, and all commands when it is /dev/stdout (theirs is for their caller),
 * hand each line to the postlog service; when nobody takes it, to syslog.
 *
 * A daemon's connection to /dev/log is made before the jail and stays. When the syslog
 * daemon starts anew, a jailed process connects again to /dev/log below queue_directory,
 * if the syslog daemon listens there too (Debian's rsyslog does); a new generation, after
 * `postfix reload`, connects from outside in any case.
 */
#ifndef SERVICE_LOG_SETUP_H
#define SERVICE_LOG_SETUP_H

#include "base/attributes.h"
#include "common_params.h"

/*
 * `program` is the last part of the tag ("smtpd"). Fatal: an unknown syslog_facility, a
 * maillog_file outside maillog_file_prefixes. `common` must stay.
 */
void log_setup(const struct common_params *common, const char *program);
/* For daemons and master: standard output may be the log. A maillog_file that cannot be
 * opened is said once; the log then goes to syslog. */
void log_setup_daemon(const struct common_params *common, const char *program);
/* After a reload (master): as log_setup_daemon, but a fault is logged and all stays as it
 * was. */
void log_setup_again(const struct common_params *common, const char *program);
/* After a rotation: 0 or -errno, the old file stays in use. */
MUST_USE int log_setup_reopen(const struct common_params *common);
/* As log_setup, with a whole tag instead of syslog_name and program (postlog -t). */
void log_setup_tag(const struct common_params *common, const char *tag);
/* Before the configuration is read: faults in it go to syslog and standard error. */
void log_setup_early(const char *program);

#endif
