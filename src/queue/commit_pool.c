#include "queue/commit_pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "queue/commit_segment.h"
#include "queue/queue_dir.h"
#include "queue/queue_file.h"

#define FILES_MAX 1000 /* more are removed */
/* A rename costs by the names in the block of the directory that it searches. */
#define DIRECTORIES  16
#define NONE_FREE_MS 50 /* after a search in vain, before the next */

struct commit_pool {
	int dir;
	uid_t owner;
	bool ordered; /* names and sizes reach the disk in the order of the calls */
	/* Taking: a walk through the directories that goes on with the next call. */
	unsigned walked; /* directories */
	DIR *walk;       /* in the one before; NULL: at its end */
	bool found;      /* something, in this walk */
	int64_t not_before;
	unsigned made; /* for names */
	/* Leaving: how many more may be left before somebody counts again, or removed. */
	unsigned room, full;
	unsigned left; /* for directories */
};

static int make_directories(void)
{
	char path[sizeof(COMMIT_POOL) + COMMIT_POOL_NAME];
	int error = file_make_dir(SEGMENT_DIRECTORY, 0700);
	if (error == 0)
		error = file_make_dir(COMMIT_POOL, 0700);
	for (unsigned i = 0; error == 0 && i < DIRECTORIES; i++) {
		(void)snprintf(path, sizeof(path), COMMIT_POOL "/%u", i);
		error = file_make_dir(path, 0700);
	}
	return error;
}

int commit_pool_open(struct commit_pool **p_r)
{
	int error = make_directories();
	if (error < 0)
		return error;
	int dir = file_open_at(AT_FDCWD, COMMIT_POOL, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	struct commit_pool *p = memory_alloc(sizeof(*p));
	p->dir = dir;
	p->owner = geteuid();
	p->walked = DIRECTORIES;
	p->ordered = file_system_is_ordered(dir);
	*p_r = p;
	return 0;
}

static void end_walk(struct commit_pool *p)
{
	if (p->walk != NULL)
		(void)closedir(p->walk);
	p->walk = NULL;
}

void commit_pool_close(struct commit_pool *p)
{
	if (p == NULL)
		return;
	end_walk(p);
	file_close(&p->dir);
	free(p);
}

/* --- taking --- */

static bool is_usable(const struct commit_pool *p, const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_nlink == 1 &&
	    (status->st_mode & 07777) == QUEUE_MODE_READY && status->st_uid == p->owner;
}

/* The lock is ours. Whoever held it before may have made a message of the file: then it
 * has another name now, and is none of our business. */
static int check(
    const struct commit_pool *p, int fd, const char *name, struct stat *status_r)
{
	struct stat there;
	if (fstat(fd, status_r) < 0)
		return -errno;
	int error = file_stat_at(p->dir, name, &there);
	if (error < 0)
		return error;
	return there.st_ino == status_r->st_ino && is_usable(p, status_r) ? 0 : -ESTALE;
}

/* A writer that died may have left bytes. */
static int cut_rest(int fd, const struct stat *status)
{
	return status->st_size == 0 ? 0 : file_truncate(fd, 0);
}

static int try_file(const struct commit_pool *p, const char *name, struct stat *status_r)
{
	/* O_NONBLOCK: a FIFO put there must not hold us up. */
	int fd = file_open_at(p->dir, name, O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0)
		error = check(p, fd, name, status_r);
	if (error == 0)
		error = cut_rest(fd, status_r);
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

static void list_numbered(struct commit_pool *p, unsigned number)
{
	char name[COMMIT_POOL_NAME];
	(void)snprintf(name, sizeof(name), "%u", number);
	if (file_list(p->dir, name, &p->walk) < 0)
		p->walk = NULL;
}

/* "3/6DC6248E": the next name of the walk; false at its end. */
static bool next_name(struct commit_pool *p, char name_r[COMMIT_POOL_NAME])
{
	while (p->walk != NULL || p->walked < DIRECTORIES) {
		if (p->walk == NULL)
			list_numbered(p, p->walked++);
		const struct dirent *e;
		if (p->walk == NULL || file_list_next(p->walk, &e) <= 0) {
			end_walk(p);
			continue;
		}
		int len =
		    snprintf(name_r, COMMIT_POOL_NAME, "%u/%s", p->walked - 1, e->d_name);
		if (len < COMMIT_POOL_NAME)
			return true;
	}
	return false;
}

static bool walk_starts(struct commit_pool *p)
{
	if (p->walk != NULL || p->walked < DIRECTORIES)
		return true;
	if (clock_ms() < p->not_before)
		return false;
	p->found = false;
	p->walked = 0;
	return true;
}

int commit_pool_take(
    struct commit_pool *p, char name_r[COMMIT_POOL_NAME], struct stat *status_r)
{
	if (!p->ordered || !walk_starts(p))
		return -ENOENT;
	while (next_name(p, name_r)) {
		int fd = try_file(p, name_r, status_r);
		if (fd >= 0) {
			p->found = true;
			return fd;
		}
	}
	if (!p->found)
		p->not_before = deadline_after_ms(NONE_FREE_MS);
	return -ENOENT;
}

int commit_pool_make(
    struct commit_pool *p, char name_r[COMMIT_POOL_NAME], struct stat *status_r)
{
	int fd, error;
	do {
		/* Never a queue id, because of the dot. */
		(void)snprintf(name_r, COMMIT_POOL_NAME, "%u/%d.%u",
		    p->made % DIRECTORIES, (int)getpid(), p->made);
		p->made++;
		fd = file_open_at(
		    p->dir, name_r, O_RDWR | O_CREAT | O_EXCL, QUEUE_MODE_READY);
	} while (fd == -EEXIST);
	if (fd < 0)
		return fd;
	/* -EWOULDBLOCK: somebody who looked for a free file was faster. */
	error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0 && fstat(fd, status_r) < 0)
		error = -errno;
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

/* --- leaving --- */

static unsigned count(struct commit_pool *p)
{
	char name[COMMIT_POOL_NAME];
	unsigned files = 0;
	end_walk(p);
	for (p->walked = 0; next_name(p, name);)
		files++;
	return files;
}

/* Others take files away meanwhile, so this is a bound, not the number. */
static bool has_room(struct commit_pool *p)
{
	if (p->room == 0 && p->full > 0) {
		p->full--;
		return false;
	}
	if (p->room == 0) {
		unsigned files = count(p);
		p->room = files < FILES_MAX ? FILES_MAX - files : 0;
		p->full = files < FILES_MAX ? 0 : FILES_MAX / 4;
	}
	if (p->room == 0)
		return false;
	p->room--;
	return true;
}

/* Somebody linked it elsewhere, as a backup perhaps: his bytes stay. The lock keeps
 * those away who look for a free file until the bytes are cut off. */
static bool is_ours(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && status.st_nlink == 1 &&
	    file_try_lock(fd, FILE_LOCK_EXCLUSIVE) == 0;
}

/*
 * First the name, then the bytes: whatever the next message writes is behind a cut that
 * reaches the disk after the name, so that after a power cut neither old bytes appear
 * under a new name nor new ones under the old. Nothing is ever written over in place.
 * Closed again before that message comes: ext4 and XFS write at its next close a file
 * that was cut to nothing.
 */
static int leave(const char *path, int dir, const char *name)
{
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	if (!is_ours(fd))
		return -EBUSY;
	int error = file_rename_new(AT_FDCWD, path, dir, name);
	if (error == 0 && file_truncate(fd, 0) < 0)
		error = 0; /* whoever takes it cuts it (cut_rest) */
	return error;
}

int commit_pool_remove(struct commit_pool *p, const char *queue, struct str id)
{
	char path[QUEUE_PATH_MAX];
	char name[COMMIT_POOL_NAME];
	queue_path(path, queue, id);
	(void)snprintf(
	    name, sizeof(name), "%u/%.*s", p->left++ % DIRECTORIES, STR_ARG(id));
	if (!p->ordered || !has_room(p) || leave(path, p->dir, name) != 0)
		return queue_remove(queue, id);
	return 0;
}

int commit_pool_empty(void)
{
	struct commit_pool pool = {.dir = -1};
	char name[COMMIT_POOL_NAME];
	int error = 0;
	pool.dir = file_open_at(AT_FDCWD, COMMIT_POOL, O_RDONLY | O_DIRECTORY, 0);
	if (pool.dir < 0)
		return pool.dir == -ENOENT ? 0 : pool.dir;
	while (error == 0 && next_name(&pool, name))
		error = file_unlink(pool.dir, name);
	end_walk(&pool);
	file_close(&pool.dir);
	return error;
}
