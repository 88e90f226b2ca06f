/* Makes what is missing of the queue, and warns about wrong owners and modes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "control/control.h"
#include "control/places.h"

struct layout {
	bool good, warn;
};

static bool make(const struct place *p)
{
	int error = mkdir(p->path, p->mode) == 0 ? 0 : -errno;
	/* As root only: for others nothing can be wrong with a new directory's owner. */
	if (error == 0 && geteuid() == 0 && lchown(p->path, p->uid, p->gid) != 0)
		error = -errno;
	if (error == 0 && chmod(p->path, p->mode) != 0) /* the umask took bits away */
		error = -errno;
	if (error != 0)
		log_error("create directory %s: %s", p->path, strerror(-error));
	return error == 0;
}

static void warn_about(const struct place *p, const struct stat *status)
{
	if (status->st_uid != p->uid)
		log_warning("not owned by %s: %s", p->user, p->path);
	if (p->group != NULL && status->st_gid != p->gid)
		log_warning("not owned by group %s: %s", p->group, p->path);
	if ((status->st_mode & (S_IWGRP | S_IWOTH) & ~p->mode) != 0)
		log_warning("group or other writable: %s", p->path);
	if (p->kind == PLACE_COMMAND &&
	    (p->mode & S_ISGID & ~status->st_mode || (status->st_mode & 0111) != 0111))
		log_warning("not %sowner+group+world executable: %s",
		    p->mode & S_ISGID ? "set-gid or not " : "", p->path);
}

static bool is_directory(const struct place *p)
{
	return p->kind == PLACE_MADE || p->kind == PLACE_DIRECTORY;
}

static void check(void *argument, const struct place *p)
{
	struct layout *l = argument;
	struct stat status;
	/* A queue may be a link to another disk, main.cf one to its master copy. */
	int error = stat(p->path, &status) == 0 ? 0 : -errno;
	if (error == -ENOENT && p->kind == PLACE_MADE) {
		l->good = make(p) && l->good;
	} else if (error == -ENOENT && !is_directory(p)) {
		return;
	} else if (error != 0 || (is_directory(p) && !S_ISDIR(status.st_mode))) {
		log_error(
		    "%s: %s", p->path, error != 0 ? strerror(-error) : "not a directory");
		l->good = false;
	} else if (l->warn) {
		warn_about(p, &status);
	}
}

bool control_queue_layout(void)
{
	struct owner owner = owner_of(command_common());
	struct layout layout = {.good = true, .warn = true};
	places_each(&owner, check, &layout);
	return layout.good;
}

/* --- set-permissions --- */

/* Through a descriptor, so that a link put in the way leads nowhere. */
static int set_open(int fd, const struct place *p)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return -errno;
	if (is_directory(p) ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode))
		return is_directory(p) ? -ENOTDIR : -EINVAL;
	gid_t gid = p->gid == (gid_t)-1 && p->uid == 0 ? 0 : p->gid;
	if ((status.st_uid != p->uid || (gid != (gid_t)-1 && status.st_gid != gid)) &&
	    fchown(fd, p->uid, gid) != 0)
		return -errno;
	return fchmod(fd, p->mode) != 0 ? -errno : 0;
}

static int open_place(const char *path, int flags)
{
	return file_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | flags, 0);
}

#define DEPTH_MAX 4 /* of the directories of a hashed queue */

/* A file with a second name is none that we made: its other name may be anybody's. Gives
 * the descriptor of a directory, to go on in, else -1. */
static int own_queue_entry(
    int directory, const char *name, const struct place *p, bool *good)
{
	struct stat status;
	CLEANUP(file_close)
	int fd = file_open_at(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || fstat(fd, &status) != 0)
		return -1;
	bool is_ours =
	    S_ISDIR(status.st_mode) || (S_ISREG(status.st_mode) && status.st_nlink == 1);
	if (is_ours && status.st_uid != p->uid && fchown(fd, p->uid, (gid_t)-1) != 0) {
		log_error("set owner of %s in %s: %s", name, p->path, strerror(errno));
		*good = false;
	}
	return S_ISDIR(status.st_mode) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

/* Files of a queue, and the directories of a hashed one, get their owner. */
static bool set_queue_files(int fd, const struct place *p, unsigned depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	bool good = directory != NULL;
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		CLEANUP(file_close)
		int below = own_queue_entry(fd, entry->d_name, p, &good);
		if (below >= 0 && depth < DEPTH_MAX)
			good = set_queue_files(below, p, depth + 1) && good;
	}
	if (directory != NULL)
		(void)closedir(directory);
	return good;
}

static void set(void *argument, const struct place *p)
{
	struct layout *l = argument;
	CLEANUP(file_close) int fd = open_place(p->path, 0);
	int error = fd < 0 ? fd : set_open(fd, p);
	if (error == -ENOENT && p->kind == PLACE_MADE) {
		l->good = make(p) && l->good;
		return;
	}
	if (error == -ELOOP || (error == -ENOENT && !is_directory(p)))
		return; /* a link: its target is the administrator's */
	if (error != 0) {
		log_error("set permissions of %s: %s", p->path, strerror(-error));
		l->good = false;
	} else if (p->queue_files) {
		l->good = set_queue_files(fd, p, 0) && l->good;
	}
}

int control_set_permissions(void)
{
	struct owner owner = owner_of(command_common());
	struct layout layout = {.good = true};
	places_each(&owner, set, &layout);
	return layout.good ? 0 : 1;
}
