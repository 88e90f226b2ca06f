/* A user of this machine: his .forward file, else a transport, a command, or his mailbox:
 * in home_mailbox, else in mail_spool_directory. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "deliver/biff.h"
#include "local/local.h"

#define PATH_ROOM     4096
#define NAME_ROOM     256
#define FORWARD_MAX   65536 /* bytes of a .forward file, with warnings */
#define FORWARD_PATHS 50

/* --- accounts --- */

bool account_nobody(struct as_user *user_r, struct why *why)
{
	*user_r = (struct as_user){.uid = local.owner.uid, .gid = local.owner.gid};
	if (local.owner.single_user)
		return true;
	const struct passwd *nobody = getpwnam(local.params.default_privs);
	if (nobody == NULL || nobody->pw_uid == 0)
		return why_later(why, "4.3.5", "default_privs: no such user: %s",
		    local.params.default_privs);
	*user_r = (struct as_user){
	    .uid = nobody->pw_uid, .gid = nobody->pw_gid, .switch_ids = true};
	return true;
}

/* Only his own mailbox is written with the rights of root. */
static bool choose_rights(struct account *account, struct why *why)
{
	account->user = account->own;
	return account->own.uid != 0 || local.owner.single_user ||
	    account_nobody(&account->user, why);
}

static enum table_result take_entry(struct arena *a, const struct passwd *entry,
    struct account *account_r, struct why *why)
{
	if (entry == NULL && errno != 0 && errno != ENOENT && errno != ESRCH) {
		(void)why_system(why, errno, "user database");
		return TABLE_TRY_LATER;
	}
	if (entry == NULL ||
	    (local.owner.single_user && entry->pw_uid != local.owner.uid))
		return TABLE_ABSENT;
	struct account account = {.name = arena_cstr(a, str_of(entry->pw_name)),
	    .home = arena_cstr(a, str_of(entry->pw_dir)),
	    .shell = arena_cstr(a, str_of(entry->pw_shell)),
	    .own = {.uid = entry->pw_uid,
		.gid = entry->pw_gid,
		.switch_ids = !local.owner.single_user}};
	if (account.name == NULL || account.home == NULL || account.shell == NULL) {
		(void)why_later(why, "4.3.0", "out of memory for this request");
		return TABLE_TRY_LATER;
	}
	if (!choose_rights(&account, why))
		return TABLE_TRY_LATER;
	*account_r = account;
	return TABLE_FOUND;
}

/* A slash or a leading dot in a name would lead elsewhere. */
static bool is_file_name(struct str name)
{
	return name.len > 0 && name.p[0] != '.' && str_find(name, '/') < 0 &&
	    !str_has_control(name);
}

enum table_result account_by_name(
    struct arena *a, struct str name, struct account *account_r, struct why *why)
{
	char user[NAME_ROOM];
	if (!is_file_name(name) || !str_to_cstr(name, user, sizeof(user)))
		return TABLE_ABSENT;
	errno = 0;
	return take_entry(a, getpwnam(user), account_r, why);
}

enum table_result account_by_uid(
    struct arena *a, uid_t uid, struct account *account_r, struct why *why)
{
	errno = 0;
	return take_entry(a, getpwuid(uid), account_r, why);
}

/* --- the .forward file --- */

struct forward {
	const char *paths[FORWARD_PATHS];
	bool extension_used[FORWARD_PATHS];
	struct user_files files;
	struct buf report;
};

/* False: it is told. */
static bool find_paths(
    const struct member *m, const struct account *account, struct forward *f)
{
	struct arena *a = m->tree->delivery->arena;
	struct str list = str_of(local.params.forward_path), word;
	f->files = (struct user_files){
	    .paths = f->paths, .owner = account->own.uid, .what = "", .opened = ""};
	while (!m->no_file && f->files.count < FORWARD_PATHS &&
	    str_next_braced(&list, " \t\r\n,", &word)) {
		CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_ROOM - 1);
		const char *text = arena_cstr(a, word);
		size_t n = f->files.count;
		if (text == NULL ||
		    !variables_expand(m, account, text,
			local.params.forward_expansion_filter, &path,
			&f->extension_used[n])) {
			log_warning("bad value of parameter forward_path: %s",
			    local.params.forward_path);
			member_later(m, "4.3.5", "mail system configuration error");
			return false;
		}
		f->paths[n] = arena_cstr(a, buf_str(&path));
		/* With no extension the second path is the first again. */
		if (f->paths[n] != NULL && f->paths[n][0] == '/' &&
		    (n == 0 || strcmp(f->paths[n], f->paths[n - 1]) != 0))
			f->files.count++;
	}
	return true;
}

static bool used_extension(const struct forward *f, struct str path)
{
	for (size_t i = 0; i < f->files.count; i++)
		if (str_is(path, f->paths[i]))
			return f->extension_used[i];
	return false;
}

/* True: the file said where the mail goes. An empty one says nothing. */
static bool follow(const struct member *m, const struct account *account,
    const struct forward *f, const struct user_file *file)
{
	struct member child = *m;
	struct str unmatched = STR_EMPTY;
	child.account = account;
	if (m->tree->delivery->request.flags & DELIVERY_TELL_VERIFY) {
		member_sent(m, "forward via file: %.*s", STR_ARG(file->path));
		return true;
	}
	if ((local.propagate & ORIGIN_FORWARD) && !used_extension(f, file->path))
		unmatched = str_skip(m->name, m->base.len);
	return items_deliver(&child, ORIGIN_FORWARD, file->text, unmatched);
}

static bool forward_deliver(
    const struct member *m, const struct account *account, struct forward *f)
{
	struct user_file file;
	if (!user_file_take(buf_str(&f->report), &f->files, &file)) {
		member_later(m, "4.3.0", "delivery process gave no result");
		return true;
	}
	return file.path.p != NULL && follow(m, account, f, &file);
}

static void look_for_file(void *context, UNUSED struct why *whys, struct buf *text)
{
	(void)user_file_find(context, text);
}

/* Before a command or another transport. False: go on. */
static bool forward_first(
    const struct member *m, const struct account *account, struct forward *f)
{
	struct why why;
	if (f->files.count == 0)
		return false;
	why_init(&why);
	as_user_run(&account->own,
	    &(struct as_user_errand){.action = look_for_file,
		.context = &f->files,
		.seconds = local.params.command_time_limit,
		.whys = &why,
		.count = 1,
		.text = &f->report});
	bool failed = why_is_set(&why);
	if (failed)
		member_failed(m, &why);
	why_free(&why);
	return failed || forward_deliver(m, account, f);
}

/* --- the mailbox --- */

static bool is_maildir(const char *path)
{
	size_t length = strlen(path);
	return length > 0 && path[length - 1] == '/';
}

/* A home_mailbox goes before the spool, but any maildir before any file. */
static bool is_spooled(void)
{
	const char *home = local.params.home_mailbox;
	return home[0] == '\0' ||
	    (!is_maildir(home) && is_maildir(local.params.mail_spool_directory));
}

/* Where the mail of this user goes. With a final slash it is a maildir. */
static const char *mailbox_path(const struct member *m, const struct account *account)
{
	struct arena *a = m->tree->delivery->arena;
	const char *directory = local.params.mail_spool_directory;
	bool maildirs = is_maildir(directory);
	if (!is_spooled())
		return arena_printf(a, "%s/%s", account->home, local.params.home_mailbox);
	return arena_printf(a, "%s%s%s%s", directory, maildirs ? "" : "/", account->name,
	    maildirs ? "/" : "");
}

/* Opened when it is needed first: where there are maildirs, never. */
static int biff(const char *path)
{
	if (!local.params.biff || is_maildir(path))
		return 0;
	if (local.biff == 0)
		local.biff = biff_open();
	return local.biff;
}

static void fill_job(const struct account *account, const char *path, struct forward *f,
    struct mailbox_job *job)
{
	*job = (struct mailbox_job){.found = &f->report};
	mailbox_target_fill(path, &job->target);
	job->target.user = account->name;
	job->target.owner = account->own;
	job->target.spool = is_spooled();
	job->target.strict_ownership = local.params.strict_mailbox_ownership;
	job->target.biff = biff(path);
	job->target.first = f->files.count > 0 ? &f->files : NULL;
}

static bool found_file(const struct forward *f, const struct mailbox_job *job)
{
	return job->target.first != NULL && f->report.len > 0;
}

/* One errand looks for the .forward file and, when there is none, delivers. */
static void deliver_to_path(const struct member *m, const struct account *account,
    const char *path, struct forward *f)
{
	struct delivery *d = m->tree->delivery;
	size_t outcome = member_outcome(m);
	struct mailbox_job job;
	if (outcome == SIZE_MAX)
		return;
	fill_job(account, path, f, &job);
	job.recipient = outcome;
	why_init(&job.why);
	mailbox_deliver(d, &job, 1);
	struct user_file file = {.path = {NULL, 0}};
	bool failed = why_is_set(&job.why);
	bool strange = !failed && found_file(f, &job) &&
	    !user_file_take(buf_str(&f->report), &f->files, &file);
	if (strange)
		(void)why_later(&job.why, "4.3.0", "delivery process gave no result");
	if (failed || strange)
		delivery_failed(d, outcome, STR_EMPTY, &job.why);
	else if (file.path.p == NULL)
		delivery_sent(d, outcome, STR_EMPTY, 0, "2.0.0",
		    str_of(mailbox_text(d, &job.target)));
	else if (m->origin != 0)
		delivery_drop_part(d, outcome);
	if (file.path.p == NULL && m->origin != 0)
		(void)!member_is_new(m, 'M', m->name);
	why_free(&job.why);
	if (file.path.p != NULL && !follow(m, account, f, &file)) {
		f->files.count = 0; /* it is empty */
		deliver_to_path(m, account, path, f);
	}
}

static void deliver_mailbox(
    const struct member *m, const struct account *account, struct forward *f)
{
	const char *path = mailbox_path(m, account);
	if (path == NULL || strlen(path) >= PATH_ROOM)
		member_never(m, "5.2.0", "name of mailbox is too long");
	else
		deliver_to_path(m, account, path, f);
}

/* mailbox_command_maps, then mailbox_command. NULL: none, or it is told. */
static bool find_command(const struct member *m, struct str *command_r, bool *told_r)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result found =
	    maps_lookup(local.mailbox_commands, m->base, false, &value);
	*told_r = found == TABLE_TRY_LATER || found == TABLE_BROKEN;
	if (*told_r) {
		member_later(m, "4.3.0", "mailbox_command_maps lookup failure");
		return true;
	}
	*command_r = found == TABLE_FOUND
	    ? arena_str(m->tree->delivery->arena, buf_str(&value))
	    : str_of(local.params.mailbox_command);
	return command_r->len > 0;
}

/* By what the site has set up, in this order. */
static void deliver_to_account(
    const struct member *m, const struct account *account, struct forward *f)
{
	struct str command = STR_EMPTY;
	bool told;
	bool elsewhere = !maps_empty(local.mailbox_transports) ||
	    local.params.mailbox_transport[0] != '\0' ||
	    !maps_empty(local.mailbox_commands) ||
	    local.params.mailbox_command[0] != '\0';
	bool again = m->origin != 0 && member_is_known(m, 'M', m->name);
	if (elsewhere || again || member_is_probe(m)) {
		if (forward_first(m, account, f) || again)
			return;
		f->files.count = 0;
		(void)!member_is_new(m, 'M', m->name);
	}
	if (pass_deliver(m, local.mailbox_transports, "mailbox_transport_maps",
		local.params.mailbox_transport))
		return;
	if (!find_command(m, &command, &told))
		deliver_mailbox(m, account, f);
	else if (!told)
		command_deliver(m, account, command);
}

/* False: `why`. */
static bool can_see_home(const struct account *account, struct why *why)
{
	struct stat status;
	struct look look = {.error = 0};
	if (stat(account->home, &status) != 0)
		look.error = errno;
	/* It may be for him only, or for his group. */
	if (look.error == EACCES && !look_as(&account->own, account->home, &look, why))
		return false;
	return look.error == 0 ||
	    why_later(why, "4.3.0", "cannot access home directory %s: %s", account->home,
		strerror(look.error));
}

static bool has_home(const struct member *m, const struct account *account)
{
	struct why why;
	if (!local.params.require_home_directory)
		return true;
	why_init(&why);
	bool has = can_see_home(account, &why);
	if (!has)
		member_failed(m, &why);
	why_free(&why);
	return has;
}

bool user_deliver(const struct member *m)
{
	struct arena *a = m->tree->delivery->arena;
	struct account *account = arena_alloc(a, sizeof(*account));
	struct forward f = {.report = BUF_INIT(FORWARD_MAX)};
	struct why why;
	why_init(&why);
	enum table_result found = TABLE_TRY_LATER;
	(void)why_later(&why, "4.3.0", "out of memory for this request");
	if (account != NULL) {
		why_clear(&why);
		found = account_by_name(a, m->base, account, &why);
	}
	if (found == TABLE_TRY_LATER)
		member_failed(m, &why);
	else if (found == TABLE_FOUND && has_home(m, account) &&
	    find_paths(m, account, &f))
		deliver_to_account(m, account, &f);
	why_free(&why);
	buf_free(&f.report);
	return found != TABLE_ABSENT;
}
