/*
 * spawn: runs the command of its row in master.cf for each client, connected to it.
 *
 * Reads nothing from strangers: the command does. Runs with effective uid mail_owner;
 * root is effective only around fork. Must not be jailed. One client a process. If it
 * died here, the command would go on without its time limit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "deliver/command.h"
#include "service/command_row.h"
#include "service/service.h"
#include "spawn_params.h"

static struct {
	struct spawn_params params;
	struct command_row row;
} state;

static void before_jail(void)
{
	state.row = command_row_read(state.params.command_time_limit, NULL);
}

static int run_command(void *argument)
{
	char *const *environment = argument;
	if (setenv("PATH", COMMAND_PATH, 1) == 0)
		(void)execvpe(state.row.argv[0], state.row.argv, environment);
	log_line(LOG_LEVEL_FATAL, "spawn_command: execvp %s: %s", state.row.argv[0],
	    strerror(errno));
	return 1;
}

static void tell_end(int error, pid_t pid, int status)
{
	if (error != 0) {
		log_warning("command %s: process %d exceeded its time limit of %lld s",
		    state.row.argv[0], (int)pid, (long long)state.row.seconds);
	} else if (WIFSIGNALED(status)) {
		log_warning("command %s: process %d killed by signal %d",
		    state.row.argv[0], (int)pid, WTERMSIG(status));
	} else if (WEXITSTATUS(status) != 0) {
		log_warning(
		    "command %s exit status %d", state.row.argv[0], WEXITSTATUS(status));
	}
}

static void wait_for_command(pid_t pid)
{
	int status = 0;
	int error = child_wait(pid, deadline_after_seconds(state.row.seconds), &status);
	tell_end(error, pid, status);
	if (error == 0)
		return;
	as_user_end(-pid);
	(void)!child_wait(pid, CLOCK_NEVER, &status);
}

static void serve(struct service_client *client)
{
	int fd = stream_fd(client->stream);
	const int fds[] = {fd, fd, fd};
	struct arena *a = arena_new(1024 * 1024);
	char **environment =
	    command_environment(a, service_common()->export_environment, NULL);
	pid_t pid = environment == NULL || file_set_nonblocking(fd, false) != 0
	    ? -ENOMEM
	    : as_user_start(
		  &(struct as_user){state.row.uid, state.row.gid, state.row.switch_ids},
		  &(struct child_plan){
		      .function = run_command,
		      .argument = environment,
		      .fds = fds,
		      .fd_count = ARRAY_SIZE(fds),
		      .new_group = true,
		  });
	if (pid < 0)
		log_warning("cannot start command %s: %s", state.row.argv[0],
		    strerror((int)-pid));
	else
		wait_for_command(pid);
	arena_free(a);
}

static const struct service spawn_service = {
    .name = "spawn",
    .params = spawn_param_table,
    .values = &state.params,
    .sandbox = SANDBOX_ROOT,
    .root = true,
    .no_threads = true,
    .attributes = true,
    .before_jail = before_jail,
    .serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(&spawn_service, argc, argv);
}
