/*
 * The frame of every command: configuration directory by -c or MAIL_CONFIG (checked for
 * setgid programs: only the default, or one listed in alternate_config_directories or
 * multi_instance_directories of the default main.cf, unless root), log tag, usage errors.
 */
#ifndef SERVICE_COMMAND_H
#define SERVICE_COMMAND_H

#include <stdbool.h>
#include "conf/conf.h"
#include "common_params.h"

struct command {
	const char *name;
	const struct param *params; /* or NULL */
	void *values;
	int fatal_status; /* 1, 69 (postqueue), 75 (sendmail) */
	bool logs; /* also logs to syslog / maillog_file, not only standard error */
	bool owns_stdout; /* with `logs`: /dev/stdout as maillog_file is our own (master)
			   */
};

/*
 * Loads configuration and opens the log. `directory` from -c, or NULL: MAIL_CONFIG, then
 * the built-in directory. Fatal on trouble, with Postfix's words ("open X/main.cf: ...").
 * Exports MAIL_CONFIG for programs started from here.
 */
void command_start(const struct command *c, const char *directory);
/* Reads the configuration again (master). False: the reason is logged, the earlier one
 * stays. All strings of the earlier one are gone after success. */
MUST_USE bool command_reload(const struct command *c);
const struct common_params *command_common(void);
struct conf *command_conf(void);
const char *command_directory(void); /* the configuration directory in use */

/* chdir to queue_directory: queue and socket paths are relative to it. */
void command_enter_queue(void);

/*
 * Where our programs lie: daemons in ../libexec beside a running build/bin binary; else
 * daemon_directory if it holds our stamp file "posthouse.stamp", else the built-in one
 * with one warning.
 */
const char *program_daemon_directory(const struct common_params *common);
const char *program_command_directory(const struct common_params *common);
/* Path of /proc/self/exe's directory, or NULL. */
const char *program_own_directory(void);

#endif
