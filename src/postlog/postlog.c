/*
 * postlog: logs lines for scripts, as our programs log theirs.
 *
 * Reads from strangers: its caller, who may be any local user: it is set-group-ID, so
 * that his lines reach maillog_file. The text is his, and so is the tag; control bytes
 * are shown as '?', and lines are cut where the log cuts its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "service/command.h"
#include "service/log_relay.h"
#include "service/log_setup.h"

static const struct command postlog_command = {
    .name = "postlog",
    .fatal_status = 1,
};

static const struct {
	const char *name;
	enum log_level level;
} priorities[] = {
    {"info", LOG_LEVEL_INFO},
    {"warn", LOG_LEVEL_WARNING},
    {"warning", LOG_LEVEL_WARNING},
    {"error", LOG_LEVEL_ERROR},
    {"fatal", LOG_LEVEL_FATAL},
    {"panic", LOG_LEVEL_PANIC},
};

static enum log_level level_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++)
		if (strcmp(name, priorities[i].name) == 0)
			return priorities[i].level;
	fatal("bad priority: %s", name);
}

/* The words of the command line are one line. */
static void log_words(enum log_level level, char **words)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LOG_LINE_MAX + 1);
	for (; *words != NULL; words++) {
		struct str word = str_slice(str_of(*words), 0, LOG_LINE_MAX - line.len);
		buf_add_str(&line, word);
		if (words[1] != NULL && line.len < LOG_LINE_MAX)
			buf_add_char(&line, ' ');
	}
	log_line(level, "%s", buf_cstr(&line));
}

/* Each line of standard input; what is too long for the log is dropped. */
static void log_input(enum log_level level)
{
	char line[LOG_LINE_MAX + 1];
	size_t len = 0;
	int c;
	while ((c = getchar()) != EOF) {
		if (c == '\n') {
			log_line(level, "%.*s", (int)len, line);
			log_flush();
			len = 0;
		} else if (len < sizeof(line) - 1) {
			line[len++] = (char)(c != '\0' ? c : '?');
		}
	}
	if (len > 0)
		log_line(level, "%.*s", (int)len, line);
	if (ferror(stdin) != 0)
		fatal("read: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	const char *directory = NULL, *tag = NULL;
	enum log_level level = LOG_LEVEL_INFO;
	int option;
	fatal_exit_status(postlog_command.fatal_status);
	log_stderr_name("postlog");
	log_relay_without_command(); /* where this file is not set-group-ID, too */
	while ((option = getopt(argc, argv, "+c:ip:t:v")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'p')
			level = level_of(optarg);
		else if (option == 't')
			tag = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else if (option == '?') /* -i: the pid is always there */
			fatal(
			    "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] "
			    "[-v] [text]");
	}
	command_start(&postlog_command, directory);
	if (tag != NULL && tag[0] != '\0' && strlen(tag) <= LOG_TAG_MAX)
		log_setup_tag(command_common(), tag);
	else if (tag != NULL)
		fatal("a tag has 1 to %d bytes", LOG_TAG_MAX);
	else
		log_setup(command_common(), "postlog");
	log_stderr_name("postfix/postlog");
	log_also_stderr(true);
	if (optind < argc)
		log_words(level, argv + optind);
	else
		log_input(level);
	log_flush();
	return 0;
}
