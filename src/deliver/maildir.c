#include "deliver/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"

#define PATH_ROOM 4096
#define NAME_ROOM 320

static int make_directory(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

/* The maildir itself and its parents: a mailbox base may have none for a new user yet. */
static int make_parents(const char *directory)
{
	char path[PATH_ROOM];
	if (!str_to_cstr(str_of(directory), path, sizeof(path)))
		return -ENAMETOOLONG;
	for (char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int error = make_directory(path);
		if (error != 0)
			return error;
		*slash = '/';
	}
	return 0;
}

/* tmp comes last: where it is missing the maildir is made, so the others must be there
 * when it is, whatever failed meanwhile. */
static int make_maildir(const char *directory)
{
	static const char *const parts[] = {"new", "cur", "tmp"};
	int error = make_parents(directory);
	for (size_t i = 0; error == 0 && i < ARRAY_SIZE(parts); i++) {
		char path[PATH_ROOM];
		int len = snprintf(path, sizeof(path), "%s%s", directory, parts[i]);
		error = len < (int)sizeof(path) ? make_directory(path) : -ENAMETOOLONG;
	}
	return error;
}

struct maildir_file {
	int fd;
	char temporary[PATH_ROOM], final[PATH_ROOM];
};

static int file_create(
    const struct maildir_target *t, struct timeval now, struct maildir_file *f)
{
	int len = snprintf(f->temporary, sizeof(f->temporary), "%stmp/%lld.P%dM%06ld.%s",
	    t->directory, (long long)now.tv_sec, (int)getpid(), (long)now.tv_usec,
	    t->hostname);
	if (len >= (int)sizeof(f->temporary))
		return -ENAMETOOLONG;
	f->fd = file_open_at(AT_FDCWD, f->temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
	return f->fd < 0 ? f->fd : 0;
}

static int final_name(
    const struct maildir_target *t, struct timeval now, struct maildir_file *f)
{
	struct stat status;
	if (fstat(f->fd, &status) != 0)
		return -errno;
	int len = snprintf(f->final, sizeof(f->final), "%snew/%lld.V%llxI%llxM%06ld.%s",
	    t->directory, (long long)now.tv_sec, (unsigned long long)status.st_dev,
	    (unsigned long long)status.st_ino, (long)now.tv_usec, t->hostname);
	return len < (int)sizeof(f->final) ? 0 : -ENAMETOOLONG;
}

/* The file is whole and synced before it appears in new; then its name is synced, because
 * the mark in the queue file must not outlive a lost rename. */
static int file_publish(const struct maildir_target *t, const struct maildir_file *f)
{
	char new_directory[PATH_ROOM];
	int len = snprintf(new_directory, sizeof(new_directory), "%snew", t->directory);
	int error = len < (int)sizeof(new_directory) ? file_sync(f->fd) : -ENAMETOOLONG;
	if (error == 0)
		error = file_rename(AT_FDCWD, f->temporary, AT_FDCWD, f->final);
	if (error != 0)
		return error;
	error = file_sync_dir(AT_FDCWD, new_directory);
	if (error != 0 && file_unlink(AT_FDCWD, f->final) != 0)
		error = -EIO;
	return error;
}

static bool failure(int error, const char *directory, struct why *why)
{
	switch (error) {
	case -EFBIG:
		return why_never(why, "5.2.2",
		    "maildir delivery failed: message is over the mailbox size limit");
	case -EDQUOT:
		return why_later(why, "4.2.2",
		    "maildir delivery failed: disk quota exceeded in %s", directory);
	case -ENOSPC:
		return why_later(why, "4.3.1",
		    "maildir delivery failed: no space left for %s", directory);
	case -EBADMSG:
		return why_later(why, "4.3.0", "queue file is corrupt");
	case -EACCES:
	case -EPERM:
		return why_never(why, "5.2.0",
		    "maildir delivery failed: create maildir file in %s: %s", directory,
		    strerror(-error));
	default:
		return why_later(why, "4.2.0", "maildir delivery failed: %s: %s",
		    directory, strerror(-error));
	}
}

bool maildir_deliver(
    struct delivery *d, size_t recipient, const struct maildir_target *t, struct why *why)
{
	struct timeval now = clock_wall();
	struct maildir_file f = {.fd = -1};
	int error = file_create(t, now, &f);
	if (error == -ENOENT) {
		error = make_maildir(t->directory);
		if (error == 0)
			error = file_create(t, now, &f);
	}
	if (error != 0)
		return failure(error, t->directory, why);
	int64_t written = message_copy(d, recipient, t->copy_flags, f.fd, t->limit);
	error = written < 0 ? (int)written : final_name(t, now, &f);
	if (error == 0)
		error = file_publish(t, &f);
	if (error != 0)
		(void)unlink(f.temporary);
	file_close(&f.fd);
	return error == 0 || failure(error, t->directory, why);
}
