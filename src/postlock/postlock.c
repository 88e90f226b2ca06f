/*
 * postlock: locks a mailbox file as delivery agents do, and runs a command meanwhile.
 *
 * For scripts that change mailboxes. Reads nothing from strangers; runs as whoever calls
 * it. If it dies, a NAME.lock file stays until it is stale_lock_time old.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "deliver/mailbox_lock.h"
#include "postlock_params.h"
#include "service/command.h"

#define TRY_LATER 75 /* EX_TEMPFAIL: the lock is not to be had */

static struct postlock_params params;

static const struct command command = {
    .name = "postlock",
    .params = postlock_param_table,
    .values = &params,
    .fatal_status = TRY_LATER,
};

NORETURN static void usage(void)
{
	fatal("usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...");
}

static struct mailbox_lock_rules rules_of(const char *styles)
{
	struct mailbox_lock_rules rules = {
	    .attempts = params.deliver_lock_attempts,
	    .delay = params.deliver_lock_delay,
	    .stale = params.stale_lock_time,
	};
	if (!mailbox_lock_parse(str_of(styles), &rules.styles))
		fatal("unknown mailbox_delivery_lock value \"%s\" in \"%s\"", styles,
		    styles);
	return rules;
}

NORETURN static void cannot_open(const char *path, const char *reason)
{
	fatal("open file %s: %s", path, reason);
}

static int take_locks(const char *path, const struct mailbox_lock_rules *rules)
{
	struct why why;
	why_init(&why);
	if (!mailbox_lock_name(path, rules, &why))
		cannot_open(path, buf_cstr(&why.text));
	int fd = file_open_following(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (fd < 0 || !mailbox_lock_file(fd, rules, &why)) {
		(void)!mailbox_unlock_name(path, rules);
		cannot_open(path, fd < 0 ? strerror(-fd) : buf_cstr(&why.text));
	}
	why_free(&why);
	return fd;
}

/* The terminal's signals reach the command by themselves; we stay to unlock. */
static void ignore_signals(bool ignore)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)signal(signals[i], ignore ? SIG_IGN : SIG_DFL);
}

/* Its exit status; one that did not end by itself counts as 1, as one that cannot be
 * run. */
static int run_command(char **arguments)
{
	int status = 0;
	ignore_signals(true);
	pid_t pid = fork();
	if (pid < 0) {
		log_warning("fork: %s", strerror(errno));
		return TRY_LATER;
	}
	if (pid == 0) {
		ignore_signals(false);
		(void)execvp(arguments[0], arguments);
		(void)dprintf(STDERR_FILENO, "postlock: fatal: execvp %s: %s\n",
		    arguments[0], strerror(errno));
		_exit(1);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	static char name[] = "postlock";
	const char *directory = NULL;
	const char *styles = NULL;
	int option;
	log_stderr_name(name);
	fatal_exit_status(command.fatal_status);
	if (argc > 0)
		argv[0] = name; /* getopt shows it */
	while ((option = getopt(argc, argv, "+c:l:v")) >= 0) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'l')
			styles = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else
			usage();
	}
	if (argc - optind < 2)
		usage();
	command_start(&command, directory);
	const char *path = argv[optind];
	struct mailbox_lock_rules rules =
	    rules_of(styles != NULL ? styles : params.mailbox_delivery_lock);
	int fd = take_locks(path, &rules);
	log_flush();
	int status = run_command(argv + optind + 1);
	int error = mailbox_unlock_name(path, &rules);
	if (error < 0)
		log_warning("remove %s.lock: %s", path, strerror(-error));
	file_close(&fd);
	log_flush();
	return status;
}
