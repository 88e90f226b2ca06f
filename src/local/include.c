/* :include: files: lists of members, read with the rights of whoever owns them. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "deliver/user_file.h"
#include "local/local.h"

#define LOOK_SECONDS 60

struct look {
	const char *path;
	int error;
};

/* In a child with root's rights: whose file it is. Nothing is opened. */
static void look_at_owner(void *context, UNUSED struct why *whys, struct buf *text)
{
	const struct look *l = context;
	struct stat status;
	int error = file_stat_at(AT_FDCWD, l->path, &status);
	buf_printf(text, "%d %u", -error, error == 0 ? (unsigned)status.st_uid : 0);
}

static bool parse_owner(struct str text, int64_t *error_r, int64_t *uid_r)
{
	struct str error, uid;
	return str_next(&text, " ", &error) && str_next(&text, " ", &uid) &&
	    str_to_range(error, 0, 4096, error_r) &&
	    str_to_range(uid, 0, UINT32_MAX, uid_r);
}

/* False: `why` says so. */
static bool find_owner(const char *path, uid_t *uid_r, struct why *why)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	struct look look = {.path = path};
	const struct as_user root = {.switch_ids = !local.owner.single_user};
	int64_t error = 0, uid = 0;
	as_user_run(&root,
	    &(struct as_user_errand){.action = look_at_owner,
		.context = &look,
		.seconds = LOOK_SECONDS,
		.whys = why,
		.count = 1,
		.text = &text});
	if (why_is_set(why))
		return false;
	if (!parse_owner(buf_str(&text), &error, &uid))
		return why_later(why, "4.3.0", "delivery process gave no result");
	if (error != 0) {
		log_warning(
		    "unable to lookup :include: file %s: %s", path, strerror((int)error));
		return why_never(why, "5.3.5", "mail system configuration error");
	}
	*uid_r = (uid_t)uid;
	return true;
}

/* The owner's; of a file of root's those that led to it, else the mail owner's. */
static bool find_rights(const struct member *m, uid_t uid, struct member *child,
    struct as_user *reader_r, struct why *why)
{
	struct arena *a = m->tree->delivery->arena;
	*reader_r = (struct as_user){.uid = local.owner.uid,
	    .gid = local.owner.gid,
	    .switch_ids = !local.owner.single_user};
	if (uid != 0 && !local.owner.single_user &&
	    (m->account == NULL || m->account->user.uid != uid)) {
		struct account *account = arena_alloc(a, sizeof(*account));
		if (account == NULL ||
		    account_by_uid(a, uid, account, why) != TABLE_FOUND) {
			log_warning("cannot find username for uid %u", (unsigned)uid);
			/* Nobody else's rights will do. */
			return why_is_set(why)
			    ? false
			    : why_later(why, "4.3.0", "cannot find :include: file owner");
		}
		child->account = account;
	}
	if (child->account != NULL)
		*reader_r = child->account->user;
	return true;
}

static void read_file(void *context, UNUSED struct why *whys, struct buf *text)
{
	(void)user_file_find(context, text);
}

static void expand(const struct member *child, const struct as_user *reader,
    const char *path, uid_t owner)
{
	CLEANUP(buf_free) struct buf report = BUF_INIT(USER_FILE_MAX);
	const struct user_files files = {.paths = &path,
	    .count = 1,
	    .owner = owner,
	    .what = ":include: ",
	    .opened = "include "};
	struct user_file file;
	struct why why;
	why_init(&why);
	as_user_run(reader,
	    &(struct as_user_errand){.action = read_file,
		.context = (void *)(uintptr_t)&files,
		.seconds = local.params.command_time_limit,
		.whys = &why,
		.count = 1,
		.text = &report});
	if (why_is_set(&why))
		member_failed(child, &why);
	else if (!user_file_take(buf_str(&report), &files, &file) || file.path.p == NULL)
		member_never(child, "5.3.5", "mail system configuration error");
	else
		(void)items_deliver(child, ORIGIN_INCLUDE, file.text,
		    local.propagate & ORIGIN_INCLUDE ? child->unmatched : STR_EMPTY);
	why_free(&why);
}

void include_deliver(const struct member *m, struct str text)
{
	struct member child = *m;
	struct as_user reader;
	const char *path = arena_cstr(m->tree->delivery->arena, text);
	struct why why;
	uid_t uid = 0;
	if (path == NULL || path[0] != '/') {
		log_warning(":include:%.*s uses a relative path", STR_ARG(text));
		member_never(m, "5.3.5", "mail system configuration error");
		return;
	}
	if (m->level >= LEVEL_MAX) {
		log_warning(":include: nesting loop for %s", path);
		member_never(m, "5.4.6", ":include: nesting loop for %s", path);
		return;
	}
	if (!member_is_new(m, 'I', text))
		return;
	why_init(&why);
	if (!find_owner(path, &uid, &why) || !find_rights(m, uid, &child, &reader, &why))
		member_failed(m, &why);
	else
		expand(&child, &reader, path, uid);
	why_free(&why);
}
