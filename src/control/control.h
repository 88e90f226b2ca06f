/*
 * Starting, stopping and checking a mail system: what `postfix` and `posthouse` have in
 * common. All functions print Postfix's words to standard error, log them, and give an
 * exit status. The configuration is loaded (command_start) and the working directory is
 * the queue directory.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>
#include "service/command.h"

/* Pid of the running master, 0 when none. */
pid_t control_master_pid(void);

/* In the background; returns when the mail system is ready. */
int control_start(void);
/* Becomes master: returns only on failure. */
int control_start_foreground(void);
int control_stop(void);  /* orderly; waits for the end */
int control_abort(void); /* at once */
int control_reload(void);
int control_flush(void);
int control_status(void);
int control_check(void);
/* Owners and modes of all that is installed, and of the queue. Follows no link. */
int control_set_permissions(void);
int control_upgrade_configuration(void); /* adds missing rows to master.cf */
int control_logrotate(void);             /* renames, reopens and packs maillog_file */

/* Makes missing queue directories and warns about wrong owners and modes of these and of
 * what is installed. */
bool control_queue_layout(void);

#endif
