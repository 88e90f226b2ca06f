#include "deliver/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deliver/settle.h"

#define PATH_ROOM 4096

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

/* A message on its way into one maildir. */
struct drop {
	const struct maildir_job *job;
	size_t number; /* tells what this process makes in one go apart */
	struct timeval now;
	int fd, error;
	dev_t device;
	struct settle settle;
	bool unnamed; /* has no name before it is published */
	bool published;
	const char *temporary, *final, *new_directory;
};

static int name_file(struct drop *p, struct arena *a)
{
	const struct maildir_target *t = &p->job->target;
	p->temporary = arena_printf(a, "%stmp/%lld.P%dQ%zuM%06ld.%s", t->directory,
	    (long long)p->now.tv_sec, (int)getpid(), p->number, (long)p->now.tv_usec,
	    t->hostname);
	p->new_directory = arena_printf(a, "%snew", t->directory);
	return p->temporary != NULL && p->new_directory != NULL ? 0 : -ENOMEM;
}

/* The dot lets tmp itself be a symbolic link, as it may be with a name in it. */
static int open_unnamed(const char *directory)
{
	char path[PATH_ROOM];
	int len = snprintf(path, sizeof(path), "%stmp/.", directory);
	return len < (int)sizeof(path)
	    ? file_open_at(AT_FDCWD, path, O_WRONLY | O_TMPFILE, 0600)
	    : -ENAMETOOLONG;
}

/* EISDIR, EOPNOTSUPP: a kernel, a file system that has no such files. */
static int open_file(struct drop *p)
{
	if (p->unnamed)
		p->fd = open_unnamed(p->job->target.directory);
	if (p->fd == -EISDIR || p->fd == -EOPNOTSUPP)
		p->unnamed = false;
	if (!p->unnamed)
		p->fd = file_open_at(
		    AT_FDCWD, p->temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
	return p->fd < 0 ? p->fd : 0;
}

static int create(struct drop *p, struct arena *a)
{
	const char *directory = p->job->target.directory;
	int error = name_file(p, a);
	if (error == 0)
		error = open_file(p);
	if (error != -ENOENT)
		return error;
	error = make_maildir(directory);
	return error == 0 ? open_file(p) : error;
}

static int name_finally(struct drop *p, struct arena *a)
{
	const struct maildir_target *t = &p->job->target;
	struct stat status;
	if (fstat(p->fd, &status) != 0)
		return -errno;
	p->device = status.st_dev;
	p->final = arena_printf(a, "%s/%lld.V%llxI%llxM%06ld.%s", p->new_directory,
	    (long long)p->now.tv_sec, (unsigned long long)status.st_dev,
	    (unsigned long long)status.st_ino, (long)p->now.tv_usec, t->hostname);
	return p->final != NULL ? 0 : -ENOMEM;
}

static int write_file(struct drop *p, bool more)
{
	struct delivery *d = p->job->delivery;
	const struct maildir_target *t = &p->job->target;
	struct message_style style = {.flags = t->copy_flags};
	int error = create(p, d->arena);
	if (error != 0)
		return error;
	int64_t written = message_copy(d, p->job->recipient, &style, p->fd, t->limit);
	error = written < 0 ? (int)written : name_finally(p, d->arena);
	return error != 0 ? error : settle_begin(&p->settle, p->fd, more);
}

/* The file is whole before it appears in new. */
static int publish(struct drop *p)
{
	int error = settle_data(&p->settle, p->fd);
	if (error == 0)
		error = p->unnamed
		    ? file_link_open(p->fd, AT_FDCWD, p->final)
		    : file_rename(AT_FDCWD, p->temporary, AT_FDCWD, p->final);
	p->published = error == 0;
	return error;
}

/* A later one on the same file system, whose sync will serve for this one too. */
static bool has_follower(const struct drop *drops, size_t count, size_t at)
{
	for (size_t i = at + 1; drops[at].settle.in_order && i < count; i++)
		if (drops[i].published && drops[i].device == drops[at].device)
			return true;
	return false;
}

/* The mark in the queue file must not outlive a lost name. What failed for one has failed
 * for all that relied on it. */
static void settle_names(struct drop *drops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct drop *p = &drops[i];
		if (!p->published || has_follower(drops, count, i))
			continue;
		p->error = settle_name(&p->settle, p->fd, p->new_directory);
		for (size_t j = 0; p->error != 0 && p->settle.in_order && j < i; j++)
			if (drops[j].published && drops[j].device == p->device)
				drops[j].error = p->error;
	}
}

static void undo(struct drop *p)
{
	if (!p->published && !p->unnamed)
		(void)unlink(p->temporary);
	else if (p->published && file_unlink(AT_FDCWD, p->final) != 0)
		p->error = -EIO;
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
	default:
		return why_later(why, "4.2.0", "maildir delivery failed: %s: %s",
		    directory, strerror(-error));
	}
}

static void finish(struct drop *p, struct why *why)
{
	if (p->error != 0 && p->fd >= 0)
		undo(p);
	file_close(&p->fd);
	if ((p->error == -EACCES || p->error == -EPERM || p->error == -ENOTDIR) &&
	    p->temporary != NULL)
		(void)why_never(why, "5.2.0",
		    "maildir delivery failed: create maildir file %s: %s", p->temporary,
		    strerror(-p->error));
	else if (p->error != 0)
		(void)failure(p->error, p->job->target.directory, why);
}

void maildir_deliver(const struct maildir_job *jobs, struct why *whys, size_t count)
{
	struct drop *drops = memory_alloc_array(count, sizeof(*drops));
	bool unnamed = access("/proc/self/fd", X_OK) == 0; /* else none can get a name */
	for (size_t i = 0; i < count; i++) {
		drops[i] = (struct drop){.job = &jobs[i],
		    .number = i,
		    .now = clock_wall(),
		    .fd = -1,
		    .unnamed = unnamed};
		drops[i].error = write_file(&drops[i], count > 1);
	}
	for (size_t i = 0; i < count; i++)
		if (drops[i].error == 0)
			drops[i].error = publish(&drops[i]);
	settle_names(drops, count);
	for (size_t i = 0; i < count; i++)
		finish(&drops[i], &whys[i]);
	free(drops);
}
