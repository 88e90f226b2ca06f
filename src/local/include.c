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
static bool find_rights(const struct member *m, uid_t uid, const struct account **account,
    struct as_user *reader_r, struct why *why)
{
	struct arena *a = m->tree->delivery->arena;
	*reader_r = (struct as_user){.uid = local.owner.uid,
	    .gid = local.owner.gid,
	    .switch_ids = !local.owner.single_user};
	*account = m->account;
	if (m->account == NULL && uid != 0 && !local.owner.single_user) {
		struct account *owner = arena_alloc(a, sizeof(*owner));
		if (owner == NULL || account_by_uid(a, uid, owner, why) != TABLE_FOUND) {
			log_warning("cannot find username for uid %u", (unsigned)uid);
			/* Nobody else's rights will do. */
			return why_is_set(why)
			    ? false
			    : why_later(why, "4.3.0", "cannot find :include: file owner");
		}
		*account = owner;
	}
	if (*account != NULL)
		*reader_r = (*account)->user;
	return true;
}

static void read_file(void *context, UNUSED struct why *whys, struct buf *text)
{
	(void)user_file_find(context, text);
}

/* False: `why` says so. */
static bool read_as(const struct as_user *reader, const struct user_files *files,
    struct buf *report, struct str *text_r, struct why *why)
{
	struct user_file file;
	as_user_run(reader,
	    &(struct as_user_errand){.action = read_file,
		.context = (void *)(uintptr_t)files,
		.seconds = local.params.command_time_limit,
		.whys = why,
		.count = 1,
		.text = report});
	if (why_is_set(why))
		return false;
	if (!user_file_take(buf_str(report), files, &file) || file.path.p == NULL)
		return why_never(why, "5.3.5", "mail system configuration error");
	*text_r = file.text;
	return true;
}

/* A list may name a thousand others, and each is as long as its owner likes. */
static bool has_room(struct tree *t, const char *path, size_t len, struct why *why)
{
	t->included += len;
	if (t->included <= INCLUDED_MAX)
		return true;
	log_warning(
	    ":include: file %s: with those before it these are more than %zu bytes", path,
	    INCLUDED_MAX);
	return why_never(why, "5.3.4", ":include: files are too long");
}

static bool find_and_read(const struct member *m, const char *path,
    const struct account **account, struct buf *report, struct str *text_r)
{
	struct user_files files = {
	    .paths = &path, .count = 1, .what = ":include: ", .opened = "include "};
	struct as_user reader;
	struct why why;
	why_init(&why);
	bool done = find_owner(m, path, &files.owner, &why) &&
	    find_rights(m, files.owner, account, &reader, &why) &&
	    read_as(&reader, &files, report, text_r, &why) &&
	    has_room(m->tree, path, text_r->len, &why);
	if (!done)
		member_failed(m, &why);
	why_free(&why);
	return done;
}

bool include_read(const struct member *m, struct str text, const struct account **account,
    struct buf *report, struct str *text_r)
{
	const char *path = arena_cstr(m->tree->delivery->arena, text);
	if (path == NULL || path[0] != '/') {
		log_warning(":include:%.*s uses a relative path", STR_ARG(text));
		member_never(m, "5.3.5", "mail system configuration error");
		return false;
	}
	if (m->level >= LEVEL_MAX) {
		log_warning(":include: nesting loop for %s", path);
		member_never(m, "5.4.6", ":include: nesting loop for %s", path);
		return false;
	}
	return member_is_new(m, 'I', text) &&
	    find_and_read(m, path, account, report, text_r);
}
