/* :include: files: lists of members, read with the rights of the user who led to them,
 * else of whoever owns them. */
#include <string.h>

#include "base/log.h"
#include "deliver/user_file.h"
#include "local/local.h"

/* A user's own list is looked for with his rights, one of the system's with root's: whom
 * it belongs to must be known before anybody opens it. False: `why` says so. */
static bool find_owner(
    const struct member *m, const char *path, uid_t *uid_r, struct why *why)
{
	const struct as_user root = {.switch_ids = !local.owner.single_user};
	struct look look;
	if (!look_as(m->account != NULL ? &m->account->user : &root, path, &look, why))
		return false;
	if (look.error != 0) {
		log_warning(
		    "unable to lookup :include: file %s: %s", path, strerror(look.error));
		return why_never(why, "5.3.5", "mail system configuration error");
	}
	*uid_r = look.uid;
	return true;
}

/*
 * Those that led to it (a .forward file's, a list's): naming a file of somebody else's
 * makes nobody its owner. Where nobody's did, as in an alias of the system's, those of
 * its owner; the mail owner's for a file of root's.
 */
static bool find_rights(const struct member *m, uid_t uid, struct member *child,
    struct as_user *reader_r, struct why *why)
{
	struct arena *a = m->tree->delivery->arena;
	*reader_r = (struct as_user){.uid = local.owner.uid,
	    .gid = local.owner.gid,
	    .switch_ids = !local.owner.single_user};
	if (m->account == NULL && uid != 0 && !local.owner.single_user) {
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
	if (!find_owner(m, path, &uid, &why) ||
	    !find_rights(m, uid, &child, &reader, &why))
		member_failed(m, &why);
	else
		expand(&child, &reader, path, uid);
	why_free(&why);
}
