/* Delivery to a user's own mailbox: home_mailbox, else mail_spool_directory; maildir
 * only. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deliver/as_user.h"
#include "deliver/maildir.h"
#include "local/local.h"

#define PATH_ROOM 4096
#define NAME_ROOM 256

struct mailbox {
	char path[PATH_ROOM];
	struct as_user user;
};

static bool unknown_user(const struct local_recipient *r, struct why *why)
{
	return why_never(why, "5.1.1", "unknown user: \"%.*s\"", STR_ARG(r->base));
}

static bool ends_in_slash(const char *path)
{
	size_t len = strlen(path);
	return len > 0 && path[len - 1] == '/';
}

/* Where the mail of this user goes. A path without final slash is a file in mbox format.
 */
static bool mailbox_path(const struct local_recipient *r, const char *home,
    struct mailbox *box, struct why *why)
{
	int len;
	if (local.params.home_mailbox[0] != '\0')
		len = snprintf(box->path, sizeof(box->path), "%s/%s", home,
		    local.params.home_mailbox);
	else
		len = snprintf(box->path, sizeof(box->path), "%s%s%.*s%s",
		    local.params.mail_spool_directory,
		    ends_in_slash(local.params.mail_spool_directory) ? "" : "/",
		    STR_ARG(r->base),
		    ends_in_slash(local.params.mail_spool_directory) ? "/" : "");
	if (len < 0 || len >= (int)sizeof(box->path))
		return why_never(why, "5.2.0", "name of mailbox is too long");
	if (!ends_in_slash(box->path))
		return why_later(why, "4.3.5",
		    "mailbox files are not supported yet: home_mailbox or "
		    "mail_spool_directory must end in \"/\" (maildir)");
	return true;
}

/* A slash or a leading dot in a name would lead elsewhere. */
static bool is_file_name(struct str name)
{
	return name.len > 0 && name.p[0] != '.' && str_find(name, '/') < 0 &&
	    !str_has_control(name);
}

static bool find_user(
    const struct local_recipient *r, struct mailbox *box, struct why *why)
{
	char name[NAME_ROOM];
	if (!is_file_name(r->base) || !str_to_cstr(r->base, name, sizeof(name)))
		return unknown_user(r, why);
	errno = 0;
	const struct passwd *entry = getpwnam(name);
	if (entry == NULL && errno != 0 && errno != ENOENT && errno != ESRCH)
		return why_system(why, errno, "user database");
	if (entry == NULL ||
	    (local.owner.single_user && entry->pw_uid != local.owner.uid))
		return unknown_user(r, why);
	box->user = (struct as_user){.uid = entry->pw_uid,
	    .gid = entry->pw_gid,
	    .switch_ids = !local.owner.single_user};
	if (!mailbox_path(r, entry->pw_dir, box, why))
		return false;
	if (box->user.uid != 0 || local.owner.single_user)
		return true;
	/* Nothing is ever delivered with the rights of root. */
	const struct passwd *nobody = getpwnam(local.params.default_privs);
	if (nobody == NULL || nobody->pw_uid == 0)
		return why_later(why, "4.3.5", "default_privs: no such user: %s",
		    local.params.default_privs);
	box->user.uid = nobody->pw_uid;
	box->user.gid = nobody->pw_gid;
	return true;
}

struct maildir_errand {
	const struct local_recipient *recipient;
	struct maildir_target target;
};

static bool deliver_to_maildir(void *context, struct why *why)
{
	struct maildir_errand *e = context;
	return maildir_deliver(
	    e->recipient->delivery, e->recipient->index, &e->target, why);
}

bool mailbox_deliver(const struct local_recipient *r, struct buf *text, struct why *why)
{
	struct mailbox box;
	if (!find_user(r, &box, why))
		return false;
	unsigned flags = COPY_RETURN_PATH | COPY_DELIVERED_TO;
	if (local.params.enable_original_recipient)
		flags |= COPY_ORIGINAL_TO;
	struct maildir_errand errand = {
	    .recipient = r,
	    .target = {.directory = box.path,
		.hostname = service_common()->myhostname,
		.copy_flags = flags,
		.limit = local.params.mailbox_size_limit},
	};
	if (!as_user_run(&box.user, deliver_to_maildir, &errand,
		local.params.command_time_limit, why))
		return false;
	buf_clear(text);
	buf_add_cstr(text, "delivered to maildir");
	return true;
}
