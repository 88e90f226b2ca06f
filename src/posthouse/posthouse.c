/*
 * posthouse: what Postfix has no command for. `init` makes an instance that needs no
 * root; start, stop, reload, status and log work on the instance whose configuration -c
 * (or MAIL_CONFIG) names.
 */
#include "posthouse/posthouse.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "control/control.h"

static const struct command posthouse_command = {
    .name = "posthouse",
    .fatal_status = 1,
    .logs = true,
};

static const char usage[] =
    "usage: posthouse init DIR [--port N]          make an instance of your own\n"
    "       posthouse [-c DIR/etc] start           start it in the background\n"
    "       posthouse [-c DIR/etc] start-fg        run it here until it is stopped\n"
    "       posthouse [-c DIR/etc] stop | reload | flush | status | check\n"
    "       posthouse [-c DIR/etc] log [-f]        show its log (-f: and what comes)\n";

static int without_arguments(int (*run)(void), int argc)
{
	if (argc > 1)
		fatal("this command takes no arguments");
	command_enter_queue();
	return run();
}

static const struct {
	const char *name;
	int (*run)(void);
	int (*run_with)(int argc, char **argv);
} commands[] = {
    {"start", control_start, NULL},
    {"start-fg", control_start_foreground, NULL},
    {"stop", control_stop, NULL},
    {"reload", control_reload, NULL},
    {"flush", control_flush, NULL},
    {"status", control_status, NULL},
    {"check", control_check, NULL},
    {"log", NULL, posthouse_log},
};

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (commands[i].run_with != NULL)
			return commands[i].run_with(argc, argv);
		return without_arguments(commands[i].run, argc);
	}
	fatal("unknown command: '%s'\n%s", argv[0], usage);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option;
	while ((option = getopt(argc, argv, "+c:vh")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(1);
		else {
			(void)fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 1;
		}
	}
	if (optind == argc) {
		(void)fputs(usage, stderr);
		return 1;
	}
	if (strcmp(argv[optind], "init") == 0)
		return posthouse_init(argc - optind, argv + optind);
	command_start(&posthouse_command, directory);
	int status = run(argc - optind, argv + optind);
	log_flush();
	return status;
}
