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
#include "service/command_rights.h"
#include "service/service.h"
#include "spawn_params.h"

static struct {
	struct spawn_params params;
	struct command_rights rights;
	const char *user_name;
	char **argv;
} state;

static bool take_word(char **word, struct buf *error)
{
	struct str text = str_of(*word);
	if (str_starts(text, STR("user="))) {
		state.user_name = *word + strlen("user=");
	} else if (str_starts(text, STR("argv="))) {
		state.argv = word;
		state.argv[0] += strlen("argv=");
	} else {
		buf_printf(error, "unknown attribute name: %s", *word);
	}
	return error->len == 0;
}

static void parse_attributes(struct buf *error)
{
	char **word = (char **)(uintptr_t)service_attributes();
	for (; *word != NULL && state.argv == NULL; word++)
		if (!take_word(word, error))
			return;
	if (state.user_name == NULL)
		buf_add_cstr(error, "missing user= command-line attribute");
	else if (state.argv == NULL || state.argv[0][0] == '\0')
		buf_add_cstr(error, "missing argv= command-line attribute");
}

static void before_jail(void)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	parse_attributes(&error);
	if (error.len > 0)
		fatal("%s", buf_cstr(&error));
	state.rights =
	    command_rights_read(state.user_name, state.params.command_time_limit);
}

static int run_command(void *argument)
{
	char *const *environment = argument;
	if (setenv("PATH", COMMAND_PATH, 1) == 0)
		(void)execvpe(state.argv[0], state.argv, environment);
	log_line(LOG_LEVEL_FATAL, "spawn_command: execvp %s: %s", state.argv[0],
	    strerror(errno));
	return 1;
}

static void tell_end(int error, pid_t pid, int status)
{
	if (error != 0) {
		log_warning("command %s: process %d exceeded its time limit of %lld s",
		    state.argv[0], (int)pid, (long long)state.rights.seconds);
	} else if (WIFSIGNALED(status)) {
		log_warning("command %s: process %d killed by signal %d", state.argv[0],
		    (int)pid, WTERMSIG(status));
	} else if (WEXITSTATUS(status) != 0) {
		log_warning(
		    "command %s exit status %d", state.argv[0], WEXITSTATUS(status));
	}
}

static void wait_for_command(pid_t pid)
{
	int status = 0;
	int error =
	    child_wait(pid, deadline_after_seconds(state.rights.seconds), &status);
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
	    : as_user_start(&(struct as_user){state.rights.uid, state.rights.gid,
				state.rights.switch_ids},
		  &(struct child_plan){
		      .function = run_command,
		      .argument = environment,
		      .fds = fds,
		      .fd_count = ARRAY_SIZE(fds),
		      .new_group = true,
		  });
	if (pid < 0)
		log_warning(
		    "cannot start command %s: %s", state.argv[0], strerror((int)-pid));
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
