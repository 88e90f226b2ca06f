/* What `postfix check` looks at beside the queue: rows, parameters, the jail's files. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/memory.h"
#include "conf/master_cf.h"
#include "control/control.h"
#include "control/jail.h"
#include "control/run.h"

#define PATH_ROOM  4096
#define FILE_ARENA (4u << 20)

static bool rows_are_good(void)
{
	char path[PATH_ROOM], program[PATH_ROOM];
	struct stat status;
	struct master_cf cf;
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_ROOM);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(FILE_ARENA);
	(void)snprintf(path, sizeof(path), "%s/master.cf", command_directory());
	if (!master_cf_read(path, arena, &cf, &error)) {
		log_error("%s", buf_cstr(&error));
		return false;
	}
	for (size_t i = 0; i < cf.count; i++) {
		(void)snprintf(program, sizeof(program), "%s/%s",
		    program_daemon_directory(command_common()), cf.rows[i].command);
		if (stat(program, &status) != 0)
			log_warning("%s: line %u: service %s: no program %s", path,
			    cf.rows[i].line, cf.rows[i].name, program);
	}
	return true;
}

/* postconf knows, and says on standard error, which names in main.cf mean nothing. */
static void check_parameters(void)
{
	char path[PATH_ROOM];
	char *argv[] = {memory_copy_cstr("postconf"), memory_copy_cstr("-c"),
	    memory_copy_cstr(command_directory()), memory_copy_cstr("-n"), NULL};
	(void)snprintf(path, sizeof(path), "%s/postconf",
	    program_command_directory(command_common()));
	(void)run_quietly(path, argv);
}

int control_check(void)
{
	bool good = control_queue_layout();
	good = rows_are_good() && good;
	check_parameters();
	jail_check();
	return good ? 0 : 1;
}
