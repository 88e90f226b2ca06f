#include "deliver/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

/* What the feeder tells: how far it came. It has the user's rights: gossip. */
enum stage { STAGE_ROOT, STAGE_DIRECTORY, STAGE_EXEC, STAGE_COPY, STAGE_ENDED, STAGES };
struct feeder_report {
	int32_t stage;
	int32_t error;  /* errno, before STAGE_ENDED */
	int32_t status; /* as of waitpid */
};

struct feeder {
	struct delivery *delivery;
	size_t recipient;
	const struct command *command;
	int output, report; /* ends of pipes that it writes to */
};

/* --- the feeder --- */

/* A file that is no program and has no "#!" is a script, as execvp(3) has it. */
static int spawn_script(pid_t *pid_r, const struct command *c,
    const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes)
{
	size_t count = 0;
	while (c->argv[count] != NULL)
		count++;
	char shell[] = "/bin/sh";
	char **argv = memory_alloc_array(count + 2, sizeof(*argv));
	argv[0] = shell;
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = c->argv[i];
	int error = posix_spawn(pid_r, shell, actions, attributes, argv, c->environment);
	free(argv);
	return error;
}

static int spawn_command(const struct feeder *f, int input, pid_t *pid_r)
{
	const struct command *c = f->command;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all;
	int error = posix_spawn_file_actions_init(&actions);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, input, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, f->output, 1);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, f->output, 2);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (error == 0)
		error = posix_spawnattr_init(&attributes);
	if (error != 0)
		return error;
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	error = posix_spawnp(
	    pid_r, c->argv[0], &actions, &attributes, c->argv, c->environment);
	if (error == ENOEXEC)
		error = spawn_script(pid_r, c, &actions, &attributes);
	return error;
}

/* What it leaves unread is its own business: only its exit status counts. */
static void feed(const struct feeder *f, int input, struct feeder_report *r)
{
	int64_t copied =
	    message_copy(f->delivery, f->recipient, &f->command->style, input, 0);
	if (copied < 0 && copied != -EPIPE) {
		r->stage = STAGE_COPY;
		r->error = (int32_t)-copied;
	}
}

static void run_command(struct feeder *f, struct feeder_report *r)
{
	int input[2];
	pid_t pid;
	r->stage = STAGE_EXEC;
	r->error = pipe2(input, O_CLOEXEC) != 0 ? errno : 0;
	if (r->error != 0)
		return;
	r->error = spawn_command(f, input[0], &pid);
	file_close(&input[0]);
	if (r->error != 0)
		return;
	file_close(&f->output);
	r->stage = STAGE_ENDED;
	feed(f, input[1], r);
	if (r->stage == STAGE_COPY)
		(void)kill(pid, SIGKILL);
	file_close(&input[1]);
	while (waitpid(pid, &r->status, 0) < 0 && errno == EINTR)
		continue;
}

static int feeder_run(void *argument)
{
	struct feeder *f = argument;
	const struct command *c = f->command;
	struct feeder_report r = {.stage = STAGE_ROOT};
	(void)signal(SIGPIPE, SIG_IGN);
	r.error = -as_user_become(&c->user, c->root);
	if (r.error == 0 && c->directory != NULL && chdir(c->directory) != 0) {
		r.stage = STAGE_DIRECTORY;
		r.error = errno;
	}
	if (r.error == 0 && setenv("PATH", COMMAND_PATH, 1) == 0)
		run_command(f, &r);
	return file_write_all(f->report, &r, sizeof(r)) == 0 ? 0 : 1;
}

/* --- the agent --- */

struct pipes {
	int output[2], report[2];
};

static void pipes_close(struct pipes *p)
{
	for (size_t i = 0; i < 2; i++) {
		file_close(&p->output[i]);
		file_close(&p->report[i]);
	}
}

static int pipes_open(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}};
	if (pipe2(p->output, O_CLOEXEC) != 0 || pipe2(p->report, O_CLOEXEC) != 0)
		return -errno;
	int error = file_set_nonblocking(p->output[0], true);
	return error != 0 ? error : file_set_nonblocking(p->report[0], true);
}

static pid_t start_feeder(
    struct delivery *d, size_t recipient, const struct command *c, const struct pipes *p)
{
	struct feeder f = {.delivery = d,
	    .recipient = recipient,
	    .command = c,
	    .output = p->output[1],
	    .report = p->report[1]};
	const int fds[] = {-1, -1, -1};
	return as_user_start_early(&c->user,
	    &(struct child_plan){
		.function = feeder_run,
		.argument = &f,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.keep_fds = true,
		.new_group = true,
	    });
}

static bool time_is_up(
    pid_t pid, const struct command *c, const struct buf *output, struct why *why)
{
	int status;
	as_user_end(-pid);
	(void)!child_wait(pid, CLOCK_NEVER, &status);
	log_warning("pipe_command_read: read time limit exceeded");
	if (output->len == 0)
		return why_never(
		    why, "5.3.0", "Command time limit exceeded: \"%s\"", c->shown);
	(void)why_never(why, "5.3.0",
	    "Command time limit exceeded: \"%s\". Command output: %s", c->shown,
	    buf_cstr(output));
	buf_add_cstr(&why->diag_type, "x-unix");
	buf_add_str(&why->diag_text, str_trim(buf_str(output)));
	return false;
}

/* What kept it from running is said in the log; the mail waits. */
static bool did_not_run(const struct feeder_report *r, const struct command *c,
    struct buf *output, struct why *why)
{
	const char *reason = strerror(r->error);
	switch (r->stage) {
	case STAGE_ROOT:
		log_line(LOG_LEVEL_FATAL, "%s(%s): %s",
		    c->root != NULL ? "chroot" : "setuid", c->root != NULL ? c->root : "",
		    reason);
		break;
	case STAGE_DIRECTORY:
		log_line(LOG_LEVEL_FATAL,
		    "cannot change directory to \"%s\" for uid=%u gid=%u: %s",
		    c->directory, (unsigned)c->user.uid, (unsigned)c->user.gid, reason);
		break;
	case STAGE_EXEC:
		log_line(LOG_LEVEL_FATAL, "%s %s: %s", c->title, c->argv[0], reason);
		buf_clear(output);
		buf_printf(output, "%s: fatal: %s %s: %s ", c->program, c->title,
		    c->argv[0], reason);
		return why_later(why, "4.3.0", "temporary failure. Command output: %s",
		    buf_cstr(output));
	case STAGE_COPY:
		return why_system(why, r->error, "cannot copy the message");
	default:
		return why_later(why, "4.3.0", "delivery process gave no result");
	}
	return why_later(why, "4.3.0", "temporary failure");
}

/* A report that does not come is as good as a signal: nothing is known. */
static bool take_report(
    int fd, const struct command *c, struct buf *output, struct why *why)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(sizeof(struct feeder_report));
	struct feeder_report r = {.stage = STAGES};
	int error = as_user_read(fd, deadline_after_ms(0), &bytes);
	if (error == 0 && bytes.len == sizeof(r))
		memcpy(&r, bytes.p, sizeof(r));
	if (r.stage != STAGE_ENDED)
		return did_not_run(&r, c, output, why);
	return command_verdict(r.status, c->shown, output, why);
}

static bool wait_for_command(pid_t pid, struct pipes *p, const struct command *c,
    struct buf *output, struct why *why)
{
	int64_t deadline = deadline_after_seconds(c->seconds);
	int status;
	int error = as_user_read(p->output[0], deadline, output);
	command_printable(output);
	if (error == -ETIMEDOUT || child_wait(pid, deadline, &status) != 0)
		return time_is_up(pid, c, output, why);
	return take_report(p->report[0], c, output, why);
}

bool command_run(struct delivery *d, size_t recipient, const struct command *c,
    struct buf *output, struct why *why)
{
	struct pipes p;
	int error = pipes_open(&p);
	bool done = false;
	*output = BUF_INIT(COMMAND_OUTPUT_MAX);
	if (error == 0) {
		pid_t pid = start_feeder(d, recipient, c, &p);
		file_close(&p.output[1]);
		file_close(&p.report[1]);
		error = pid < 0 ? (int)pid : 0;
		if (error == 0)
			done = wait_for_command(pid, &p, c, output, why);
	}
	pipes_close(&p);
	return error != 0 ? why_system(why, -error, "cannot start a command") : done;
}

/* --- its environment --- */

static const char *exported(struct arena *a, struct str name)
{
	if (str_find(name, '=') >= 0)
		return arena_cstr(a, name);
	const char *cstring = arena_cstr(a, name);
	const char *value = cstring != NULL ? getenv(cstring) : NULL;
	return value != NULL ? arena_printf(a, "%s=%s", cstring, value) : NULL;
}

char **command_environment(struct arena *a, const char *names, char *const *more)
{
	struct str list = str_of(names), name;
	size_t count = 0, room = 2;
	while (str_next_braced(&list, " \t\r\n,", &name))
		room++;
	for (size_t i = 0; more != NULL && more[i] != NULL; i++)
		room++;
	const char **out = arena_alloc_array(a, room, sizeof(*out));
	if (out == NULL)
		return NULL;
	list = str_of(names);
	while (str_next_braced(&list, " \t\r\n,", &name)) {
		const char *variable = exported(a, name);
		if (variable != NULL)
			out[count++] = variable;
	}
	out[count++] = "PATH=" COMMAND_PATH;
	for (size_t i = 0; more != NULL && more[i] != NULL; i++)
		out[count++] = more[i];
	return (char **)(uintptr_t)out;
}
