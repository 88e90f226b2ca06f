/* Delivery to a user of this machine: into home_mailbox, else mail_spool_directory. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deliver/mailbox.h"
#include "deliver/message_copy.h"
#include "local/local.h"

#define PATH_ROOM 4096
#define NAME_ROOM 256

struct mailbox {
	char path[PATH_ROOM];
	char user[NAME_ROOM];
	struct as_user owner;
	bool spool;
};

static bool ends_in_slash(const char *path)
{
	size_t len = strlen(path);
	return len > 0 && path[len - 1] == '/';
}

/* Where the mail of this user goes. With a final slash it is a maildir. */
static bool find_path(const char *home, struct mailbox *box, struct why *why)
{
	int len;
	const char *directory = local.params.mail_spool_directory;
	const char *end = ends_in_slash(directory) ? "/" : "";
	box->spool = local.params.home_mailbox[0] == '\0';
	if (!box->spool)
		len = snprintf(box->path, sizeof(box->path), "%s/%s", home,
		    local.params.home_mailbox);
	else
		len = snprintf(box->path, sizeof(box->path), "%s%s%s%s", directory,
		    *end != '\0' ? "" : "/", box->user, end);
	return (len >= 0 && len < (int)sizeof(box->path)) ||
	    why_never(why, "5.2.0", "name of mailbox is too long");
}

/* A slash or a leading dot in a name would lead elsewhere. */
static bool is_file_name(struct str name)
{
	return name.len > 0 && name.p[0] != '.' && str_find(name, '/') < 0 &&
	    !str_has_control(name);
}

/* Nothing is ever delivered with the rights of root. */
static bool choose_owner(
    const struct passwd *entry, struct as_user *owner, struct why *why)
{
	*owner = (struct as_user){.uid = entry->pw_uid,
	    .gid = entry->pw_gid,
	    .switch_ids = !local.owner.single_user};
	if (owner->uid != 0 || local.owner.single_user)
		return true;
	const struct passwd *nobody = getpwnam(local.params.default_privs);
	if (nobody == NULL || nobody->pw_uid == 0)
		return why_later(why, "4.3.5", "default_privs: no such user: %s",
		    local.params.default_privs);
	owner->uid = nobody->pw_uid;
	owner->gid = nobody->pw_gid;
	return true;
}

/* USER_NONE: no such user, and nothing is said about it. */
static enum user_result find_user(
    const struct local_recipient *r, struct mailbox *box, struct why *why)
{
	if (!is_file_name(r->base) || !str_to_cstr(r->base, box->user, sizeof(box->user)))
		return USER_NONE;
	errno = 0;
	const struct passwd *entry = getpwnam(box->user);
	if (entry == NULL && errno != 0 && errno != ENOENT && errno != ESRCH) {
		(void)why_system(why, errno, "user database");
		return USER_FAILED;
	}
	if (entry == NULL ||
	    (local.owner.single_user && entry->pw_uid != local.owner.uid))
		return USER_NONE;
	return find_path(entry->pw_dir, box, why) && choose_owner(entry, &box->owner, why)
	    ? USER_DELIVERED
	    : USER_FAILED;
}

enum user_result user_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why)
{
	struct mailbox box;
	enum user_result found = find_user(r, &box, why);
	if (found != USER_DELIVERED)
		return found;
	unsigned flags = COPY_RETURN_PATH | COPY_DELIVERED_TO;
	if (local.params.enable_original_recipient)
		flags |= COPY_ORIGINAL_TO;
	struct mailbox_job job = {.recipient = r->index};
	job.target = (struct mailbox_target){
	    .path = box.path,
	    .user = box.user,
	    .owner = box.owner,
	    .spool = box.spool,
	    .hostname = service_common()->myhostname,
	    .copy_flags = flags,
	    .limit = local.params.mailbox_size_limit,
	    .locks = {.styles = local.lock_styles,
		.attempts = local.params.deliver_lock_attempts,
		.delay = local.params.deliver_lock_delay,
		.stale = local.params.stale_lock_time},
	    .strict_ownership = local.params.strict_mailbox_ownership,
	    .seconds = local.params.command_time_limit,
	};
	why_init(&job.why);
	mailbox_deliver(r->delivery, &job, 1);
	bool failed = why_is_set(&job.why);
	if (failed)
		why_copy(why, &job.why);
	else
		buf_add_cstr(text, mailbox_text(r->delivery, &job.target));
	why_free(&job.why);
	return failed ? USER_FAILED : USER_DELIVERED;
}
