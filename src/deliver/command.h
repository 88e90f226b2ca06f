/*
 * A command that takes a message (pipe, and commands of local): run without a shell, with
 * a user's rights, the message on its standard input, its output kept for the status.
 *
 * Two processes: a feeder with the user's ids for good (it alone reads the message), and
 * the command, its child. Both are one process group, which is killed when time is up.
 * The agent reads the output until all who hold it have closed it, as Postfix does: a
 * command that leaves a process behind with its output open is waited for.
 */
#ifndef DELIVER_COMMAND_H
#define DELIVER_COMMAND_H

#include "deliver/as_user.h"
#include "deliver/message_copy.h"

#define COMMAND_OUTPUT_MAX 4095 /* bytes; the rest is read and dropped */
#define COMMAND_PATH       "/usr/bin:/bin"

struct command {
	char *const *argv; /* argv[0] without '/' is looked for in COMMAND_PATH */
	const char *shown; /* how messages call it */
	/* For the line when it cannot be run: "pipe", "pipe_command: execvp". */
	const char *program, *title;
	struct as_user user;
	const char *root;      /* chroot, or NULL */
	const char *directory; /* NULL: where the agent is, the queue directory */
	char *const *environment;
	struct message_style style;
	int64_t seconds;
};

/*
 * Delivers to the recipient at this index. True: exit status 0. False: `why`, by exit
 * status (sysexits.h) or by the enhanced code that the output begins with; death by a
 * signal and trouble before it ran are "later", too long a run "never". `output` gets
 * what it wrote, at most COMMAND_OUTPUT_MAX, one line, printable.
 */
MUST_USE bool command_run(struct delivery *d, size_t recipient, const struct command *c,
    struct buf *output, struct why *why);

/* NAME or NAME=value of `names` (export_environment) from our own environment, PATH, and
 * behind these `more` ("NAME=value", NULL-terminated, or NULL). NULL without memory. */
char **command_environment(struct arena *a, const char *names, char *const *more);

/* Inside src/deliver: what an exit status, as of waitpid, means; `output` as above. */
bool command_verdict(
    int status, const char *shown, const struct buf *output, struct why *why);
/* Blanks for line ends, '_' for what cannot be shown. */
void command_printable(struct buf *text);

#endif
