/* "|command" and /file: with the rights of the user who asked for it, or nobody's. */
#include <string.h>

#include "base/log.h"
#include "deliver/command.h"
#include "deliver/message_copy.h"
#include "local/local.h"

#define PATH_ROOM 4096
#define WORDS_MAX 1000

static const char magic[] = "!\"#$&'()*;<=>?[\\]^`{|}~\n\r";
/* As Postfix: a command without a path is the shell's to find. */
static bool needs_shell(struct str command)
{
	return command.len == 0 || command.p[0] != '/' ||
	    str_find_any(command, magic) >= 0;
}

/* The words of `text`, and behind them `last` as one, if not NULL. */
static char **split(struct arena *a, struct str text, const char *last)
{
	char **argv = arena_alloc_array(a, WORDS_MAX + 2, sizeof(*argv));
	struct str word;
	size_t count = 0;
	while (argv != NULL && count < WORDS_MAX && str_next(&text, " \t\r\n", &word)) {
		argv[count] = (char *)(uintptr_t)arena_cstr(a, word);
		if (argv[count++] == NULL)
			return NULL;
	}
	if (argv != NULL && last != NULL)
		argv[count] = (char *)(uintptr_t)last;
	return argv;
}

static char **arguments(struct arena *a, struct str command)
{
	struct str shell = str_of(local.params.local_command_shell);
	if (shell.len > 0 || needs_shell(command))
		return split(
		    a, shell.len > 0 ? shell : STR("sh -c"), arena_cstr(a, command));
	return split(a, command, NULL);
}

static bool find_directory(const struct member *m, const struct account *account,
    const char **directory_r, struct why *why)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_ROOM - 1);
	const struct local_params *p = &local.params;
	*directory_r = NULL;
	if (p->command_execution_directory[0] == '\0')
		return true;
	if (!variables_expand(m, account, p->command_execution_directory,
		p->execution_directory_expansion_filter, &path, NULL))
		return why_later(why, "4.3.5", "mail system configuration error");
	if (path.len == 0)
		return true; /* "$home" of nobody */
	*directory_r = arena_cstr(m->tree->delivery->arena, buf_str(&path));
	return *directory_r != NULL ||
	    why_later(why, "4.3.0", "out of memory for this request");
}

static bool fill_command(const struct member *m, const struct account *account,
    struct str text, struct command *c, struct why *why)
{
	struct arena *a = m->tree->delivery->arena;
	unsigned flags = COPY_FROM_LINE | COPY_RETURN_PATH;
	if (local.params.enable_original_recipient)
		flags |= COPY_ORIGINAL_TO;
	if (local.prepend & PREPEND_COMMAND)
		flags |= COPY_DELIVERED_TO;
	*c = (struct command){.argv = arguments(a, text),
	    .shown = arena_cstr(a, text),
	    .program = "local",
	    .title = "execvp",
	    .environment = variables_environment(m, account),
	    .style = {.flags = flags},
	    .seconds = local.params.command_time_limit};
	if (c->argv == NULL || c->argv[0] == NULL || c->shown == NULL ||
	    c->environment == NULL)
		return why_later(why, "4.3.0", "out of memory for this request");
	if (account != NULL)
		c->user = account->user;
	else if (!account_nobody(&c->user, why))
		return false;
	return find_directory(m, account, &c->directory, why);
}

void command_deliver(
    const struct member *m, const struct account *account, struct str text)
{
	struct delivery *d = m->tree->delivery;
	if (m->origin != 0 && !member_is_new(m, 'C', text))
		return;
	size_t outcome = member_owned_outcome(m);
	CLEANUP(buf_free) struct buf output = BUF_INIT(COMMAND_OUTPUT_MAX);
	CLEANUP(buf_free) struct buf shown = BUF_INIT(WHY_TEXT_MAX);
	struct command command;
	struct why why;
	if (outcome == SIZE_MAX)
		return;
	why_init(&why);
	buf_printf(&shown, "%s to command: %.*s",
	    member_is_probe(m) ? "delivers" : "delivered", STR_ARG(text));
	if (fill_command(m, account, text, &command, &why) &&
	    (member_is_probe(m) || command_run(d, outcome, &command, &output, &why)))
		delivery_sent(d, outcome, STR_EMPTY, 0, "2.0.0", buf_str(&shown));
	else
		delivery_failed(d, outcome, STR_EMPTY, &why);
	why_free(&why);
}

/* "~/" is the home of whoever wrote it; nobody has none, and others' are not for him.
 * NULL: `why` tells. */
static const char *find_path(const struct member *m, struct str text, struct why *why)
{
	struct arena *a = m->tree->delivery->arena;
	bool homely = str_starts(text, STR("~"));
	if (homely && (m->account == NULL || !str_starts(text, STR("~/")))) {
		log_warning("%s: %.*s",
		    str_starts(text, STR("~/")) ? "unknown home directory for"
						: "bad home directory syntax for",
		    STR_ARG(text));
		(void)why_never(why, "5.3.5", "mail system configuration error");
		return NULL;
	}
	const char *path = homely
	    ? arena_printf(a, "%s%.*s", m->account->home, STR_ARG(str_skip(text, 1)))
	    : arena_cstr(a, text);
	if (path == NULL) {
		(void)why_later(why, "4.3.0", "out of memory for this request");
		return NULL;
	}
	if (strlen(path) < PATH_ROOM)
		return path;
	(void)why_never(why, "5.2.0", "name of file is too long");
	return NULL;
}

void mailbox_target_fill(const char *path, struct mailbox_target *target)
{
	const struct local_params *p = &local.params;
	unsigned flags = COPY_RETURN_PATH;
	if (p->enable_original_recipient)
		flags |= COPY_ORIGINAL_TO;
	if (local.prepend & PREPEND_FILE)
		flags |= COPY_DELIVERED_TO;
	*target = (struct mailbox_target){.path = path,
	    .hostname = service_common()->myhostname,
	    .copy_flags = flags,
	    .limit = p->mailbox_size_limit,
	    .locks = {.styles = local.lock_styles,
		.attempts = p->deliver_lock_attempts,
		.delay = p->deliver_lock_delay,
		.stale = p->stale_lock_time},
	    .seconds = p->command_time_limit};
}

static void deliver_to_file(
    const struct member *m, size_t outcome, const char *path, const struct as_user *user)
{
	struct delivery *d = m->tree->delivery;
	CLEANUP(buf_free) struct buf shown = BUF_INIT(WHY_TEXT_MAX);
	struct mailbox_job job = {.recipient = outcome};
	mailbox_target_fill(path, &job.target);
	job.target.file = true;
	job.target.owner = *user;
	why_init(&job.why);
	mailbox_deliver(d, &job, 1);
	buf_add_cstr(&shown, mailbox_text(d, &job.target));
	if (path[strlen(path) - 1] != '/')
		buf_printf(&shown, "%s", path);
	if (why_is_set(&job.why))
		delivery_failed(d, outcome, STR_EMPTY, &job.why);
	else
		delivery_sent(d, outcome, STR_EMPTY, 0, "2.0.0", buf_str(&shown));
	why_free(&job.why);
}

static bool may_deliver(const struct member *m, struct as_user *user, struct why *why)
{
	if (!(local.to_files & m->origin))
		return why_never(why, "5.7.1", "mail to file is restricted");
	if (m->account == NULL)
		return account_nobody(user, why);
	*user = m->account->user;
	return true;
}

void file_deliver(const struct member *m, struct str text)
{
	struct as_user user;
	struct why why;
	if (!member_is_new(m, 'F', text))
		return;
	size_t outcome =
	    str_ends(text, STR("/")) ? member_outcome(m) : member_owned_outcome(m);
	if (outcome == SIZE_MAX)
		return;
	why_init(&why);
	const char *path = may_deliver(m, &user, &why) ? find_path(m, text, &why) : NULL;
	if (path != NULL)
		deliver_to_file(m, outcome, path, &user);
	else
		delivery_failed(m->tree->delivery, outcome, STR_EMPTY, &why);
	why_free(&why);
}
