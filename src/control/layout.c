/* The directories of a queue, with owners and modes as Postfix has them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "control/control.h"
#include "service/owner.h"

enum layout_owner { OWNED_BY_ROOT, OWNED_BY_MAIL, OWNED_BY_MAIL_FOR_GROUP };

static const struct layout_row {
	const char *name;
	enum layout_owner owner;
	mode_t mode;
} rows[] = {
    {"active", OWNED_BY_MAIL, 0700},
    {"bounce", OWNED_BY_MAIL, 0700},
    {"commit", OWNED_BY_MAIL, 0700},
    {"corrupt", OWNED_BY_MAIL, 0700},
    {"defer", OWNED_BY_MAIL, 0700},
    {"deferred", OWNED_BY_MAIL, 0700},
    {"flush", OWNED_BY_MAIL, 0700},
    {"hold", OWNED_BY_MAIL, 0700},
    {"incoming", OWNED_BY_MAIL, 0700},
    {"private", OWNED_BY_MAIL, 0700},
    {"saved", OWNED_BY_MAIL, 0700},
    {"trace", OWNED_BY_MAIL, 0700},
    {"maildrop", OWNED_BY_MAIL_FOR_GROUP, 0730},
    {"public", OWNED_BY_MAIL_FOR_GROUP, 0710},
    {"pid", OWNED_BY_ROOT, 0755},
};

static uid_t uid_of(const struct layout_row *row, const struct owner *o)
{
	return row->owner == OWNED_BY_ROOT && !o->single_user ? 0 : o->uid;
}

static int set_owner(const struct layout_row *row, const struct owner *o)
{
	if (o->single_user)
		return 0;
	gid_t group = row->owner == OWNED_BY_MAIL_FOR_GROUP ? o->setgid_group : (gid_t)-1;
	return lchown(row->name, uid_of(row, o), group) == 0 ? 0 : -errno;
}

static bool make(const struct layout_row *row, const struct owner *o)
{
	int error = mkdir(row->name, row->mode) == 0 ? 0 : -errno;
	if (error == 0)
		error = set_owner(row, o);
	if (error == 0 && chmod(row->name, row->mode) != 0) /* the umask took bits away */
		error = -errno;
	if (error != 0)
		log_error("create directory %s/%s: %s", command_common()->queue_directory,
		    row->name, strerror(-error));
	return error == 0;
}

static bool check(const struct layout_row *row, const struct owner *o)
{
	struct stat status;
	int error = file_stat_at(AT_FDCWD, row->name, &status);
	if (error == -ENOENT)
		return make(row, o);
	if (error != 0 || !S_ISDIR(status.st_mode)) {
		log_error("%s/%s: %s", command_common()->queue_directory, row->name,
		    error != 0 ? strerror(-error) : "not a directory");
		return false;
	}
	const char *queue = command_common()->queue_directory;
	if (status.st_uid != uid_of(row, o))
		log_warning("not owned by %s: %s/%s",
		    row->owner == OWNED_BY_ROOT ? "root" : o->user, queue, row->name);
	if (!o->single_user && row->owner == OWNED_BY_MAIL_FOR_GROUP &&
	    status.st_gid != o->setgid_group)
		log_warning("not owned by group %s: %s/%s",
		    command_common()->setgid_group, queue, row->name);
	if (status.st_mode & S_IWOTH)
		log_warning("writable by others: %s/%s", queue, row->name);
	return true;
}

bool control_queue_layout(void)
{
	struct owner owner = owner_of(command_common());
	bool good = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		good = check(&rows[i], &owner) && good;
	return good;
}
