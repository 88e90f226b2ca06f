/*
 * What pipe and spawn have in common: whose rights the command of their row gets
 * ("user=NAME" or "user=NAME:GROUP"), and how long it may run (SERVICE_time_limit). In a
 * single-user instance the name does not count: all runs as the caller.
 */
#ifndef SERVICE_COMMAND_RIGHTS_H
#define SERVICE_COMMAND_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct command_rights {
	uid_t uid;
	gid_t gid;
	bool switch_ids; /* false: single-user instance */
	int64_t seconds;
};

/* Before the jail. `seconds` counts where the service has no limit of its own. Fatal: no
 * such account, root's rights, those of the mail system, a time that is none. */
struct command_rights command_rights_read(const char *user, int64_t seconds);

#endif
