/*
 * sendmail: the command that programs submit mail with; also mailq and newaliases. Mail
 * goes to postdrop, so that it works while the mail system is down.
 *
 * Reads from strangers: nobody but its caller, with whose rights it runs; never setuid or
 * setgid. When it ends with status 0 the message is on disk; every trouble is status 75,
 * and nothing was sent.
 */
#include "sendmail/sendmail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "service/command.h"

#define PATH_ROOM     4096
#define ARGUMENTS_MAX 100

struct sendmail_params sendmail_params;

static const struct command command = {
    .name = "sendmail",
    .params = sendmail_param_table,
    .values = &sendmail_params,
    .fatal_status = 75,
    .logs = true,
};

/* Becomes another of our programs. */
NORETURN static void become_in(const char *directory, const char *name, char *const *argv)
{
	char path[PATH_ROOM];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	log_flush();
	(void)execv(path, argv);
	fatal("execv %s: %s", path, strerror(errno));
}

NORETURN static void become(const char *name, char *const *argv)
{
	become_in(program_command_directory(command_common()), name, argv);
}

NORETURN static void become_with(const char *name, const char *option, const char *value)
{
	char *argv[] = {memory_copy_cstr(name), memory_copy_cstr(option),
	    value != NULL ? memory_copy_cstr(value) : NULL, NULL};
	become(name, argv);
}

/* -bd: what came of it is told by the command itself; scripts of Sendmail's time expect
 * status 0. */
static void start_mail_system(void)
{
	int status;
	log_flush();
	pid_t pid = fork();
	if (pid == 0)
		become_with("postfix", "start", NULL);
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
}

/* -bs: the SMTP server, with its caller's rights. */
NORETURN static void serve_standard_input(void)
{
	char *argv[] = {memory_copy_cstr("smtpd"), memory_copy_cstr("-S"), NULL};
	become_in(program_daemon_directory(command_common()), "smtpd", argv);
}

/* newaliases: all of alias_database, or the file of -oA. */
NORETURN static void build_aliases(const char *file)
{
	const char *list = file != NULL ? file : sendmail_params.alias_database;
	char *argv[ARGUMENTS_MAX + 1] = {
	    memory_copy_cstr("postalias"), memory_copy_cstr("--")};
	char *words = memory_copy_cstr(list);
	size_t count = 2;
	struct str rest = str_of(words), word;
	while (count < ARGUMENTS_MAX && str_next(&rest, " \t\r\n,", &word)) {
		argv[count] = memory_alloc(word.len + 1);
		memcpy(argv[count++], word.p, word.len);
	}
	free(words);
	become("postalias", argv);
}

/* A descriptor 0, 1 or 2 that is closed would be given to the next pipe. */
static void open_standard_descriptors(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			_exit(command.fatal_status);
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
}

static void set_name(char **argv)
{
	char *slash = argv[0] != NULL ? strrchr(argv[0], '/') : NULL;
	if (slash != NULL)
		argv[0] = slash + 1; /* getopt shows it */
	log_stderr_name(argv[0] != NULL ? argv[0] : command.name);
}

int main(int argc, char **argv)
{
	struct sendmail_options o;
	open_standard_descriptors();
	set_name(argv);
	fatal_exit_status(command.fatal_status);
	if (geteuid() != getuid() || getegid() != getgid())
		fatal("the sendmail command must not be set-user-ID or set-group-ID");
	command_start(&command, options_directory(argc, argv));
	log_stderr_name(argv[0] != NULL ? argv[0] : command.name);
	options_parse(&o, argc, argv);
	switch (o.mode) {
	case MODE_LIST:
		become_with("postqueue", "-p", NULL);
	case MODE_FLUSH:
		become_with("postqueue", "-f", NULL);
	case MODE_FLUSH_SITE:
		become_with("postqueue", "-s", o.argument);
	case MODE_FLUSH_ID:
		become_with("postqueue", "-i", o.argument);
	case MODE_DAEMON:
		start_mail_system();
		break;
	case MODE_ALIASES:
		build_aliases(o.alias_file);
	case MODE_STAND_ALONE:
		serve_standard_input();
	case MODE_NOTHING:
		break;
	case MODE_VERIFY:
	case MODE_SUBMIT:
		submit(&o, argv + o.first_operand);
		break;
	}
	log_flush();
	return 0;
}
