/*
 * The row of a service that runs a command (pipe, spawn): "user=NAME argv=PROGRAM WORD
 * ..." behind the options, with attributes of the service's own before argv=. The command
 * gets the rights of NAME, or of NAME:GROUP, and the time that SERVICE_time_limit gives.
 * In a single-user instance the name does not count: all runs as the caller.
 */
#ifndef SERVICE_COMMAND_ROW_H
#define SERVICE_COMMAND_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct command_row {
	uid_t uid;
	gid_t gid;
	bool switch_ids;   /* false: single-user instance */
	int64_t seconds;   /* it may run */
	char *const *argv; /* NULL at the end */
};

/*
 * Before the jail. `seconds` counts where the service has no limit of its own. `take`
 * gets each other attribute (NULL: there are none); false: `error` says what is wrong
 * with it, or it is unknown. Fatal: a bad or missing attribute, no such account, root's
 * rights, those of the mail system, a time that is none.
 */
struct command_row command_row_read(
    int64_t seconds, bool (*take)(const char *word, struct buf *error));

#endif
