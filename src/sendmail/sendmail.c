/*
 * sendmail: the command that programs submit mail with; also mailq. Runs with its
 * caller's rights; mail goes to postdrop, so that it works while the mail system is down.
 * Reads from strangers: the message, which it only passes on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "sendmail/sendmail.h"
#include "service/command.h"

#define PATH_ROOM 4096

struct sendmail_params sendmail_params;

static const struct command sendmail_command = {
    .name = "sendmail",
    .params = sendmail_param_table,
    .values = &sendmail_params,
    .fatal_status = 75,
    .logs = true,
};

/* Becomes another of our commands. */
static int become(const char *name, const char *argument)
{
	char path[PATH_ROOM];
	(void)snprintf(path, sizeof(path), "%s/%s",
	    program_command_directory(command_common()), name);
	char *argv[] = {memory_copy_cstr(name), memory_copy_cstr(argument), NULL};
	log_flush();
	(void)execv(path, argv);
	fatal("execute %s: %s", path, strerror(errno));
}

static int aliases(void)
{
	char path[PATH_ROOM];
	(void)snprintf(path, sizeof(path), "%s/postalias",
	    program_command_directory(command_common()));
	struct str list = str_of(sendmail_params.alias_database), word;
	char *argv[102] = {memory_copy_cstr("postalias")};
	size_t count = 1;
	while (count < ARRAY_SIZE(argv) - 1 && str_next(&list, " \t\r\n,", &word)) {
		argv[count] = memory_alloc(word.len + 1);
		memcpy(argv[count++], word.p, word.len);
	}
	log_flush();
	(void)execv(path, argv);
	fatal("execute %s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
	struct sendmail s;
	fatal_exit_status(sendmail_command.fatal_status);
	log_stderr_name("sendmail");
	sendmail_options(&s, argc, argv);
	command_start(&sendmail_command, s.directory);
	switch (s.mode) {
	case MODE_LIST:
		return become("postqueue", "-p");
	case MODE_FLUSH:
		return become("postqueue", "-f");
	case MODE_DAEMON:
		return become("postfix", "start");
	case MODE_ALIASES:
		return aliases();
	case MODE_SMTP:
	case MODE_VERIFY:
		fatal("-b%c is not built yet", s.mode);
	case MODE_SUBMIT:
		break;
	}
	int status = sendmail_submit(&s, argv + s.first_operand);
	log_flush();
	return status;
}
