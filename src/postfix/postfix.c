/*
 * postfix: starts, stops, reloads and checks the mail system. Run by root (or the owner
 * of a single-user instance); reads nothing from strangers.
 */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "control/control.h"

static struct command postfix_command = {
    .name = "postfix-script",
    .fatal_status = 1,
    .logs = true,
};

static const struct {
	const char *name;
	int (*run)(void);
} commands[] = {
    {"start", control_start},
    {"start-fg", control_start_foreground},
    {"stop", control_stop},
    {"abort", control_abort},
    {"reload", control_reload},
    {"flush", control_flush},
    {"status", control_status},
    {"check", control_check},
    {"set-permissions", control_set_permissions},
    {"upgrade-configuration", control_upgrade_configuration},
    {"logrotate", control_logrotate},
};

static int run(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run();
	fatal(
	    "unknown command: '%s'. Usage: postfix start (or stop, reload, abort, flush, check, "
	    "status, set-permissions, upgrade-configuration, logrotate)",
	    name);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option;
	while ((option = getopt(argc, argv, "c:Dv")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(1);
		else if (option == '?')
			fatal("usage: postfix [-c config_dir] [-v] command");
	}
	const char *name = optind < argc ? argv[optind] : "";
	/* It becomes master, whose log standard output may be. */
	postfix_command.owns_stdout = strcmp(name, "start-fg") == 0;
	command_start(&postfix_command, directory);
	log_stderr_name("postfix/postlog");
	if (geteuid() != 0 && !command_common()->posthouse_single_user) {
		log_error("to submit mail, use the Postfix sendmail command");
		fatal("the postfix command is reserved for the superuser");
	}
	command_enter_queue();
	int status = run(name);
	log_flush();
	return status;
}
