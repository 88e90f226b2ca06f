#include "queue/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/queue_dir.h"
#include "run/fiber.h"
#include "run/worker.h"

#define NAME_TRIES    100
#define MODE_WRITING  0600
#define MODE_READY    0700
#define MODE_DROPPING 0644
#define MODE_DROPPED  0744 /* maildrop: pickup, another user, must be able to read */

struct commit {
	const char *queue;
	int dir; /* kept open, for the name operations; maildrop may not be readable */
	mode_t start_mode, ready_mode;
	bool long_ids;
	bool ordered;     /* a name is durable with its file */
	unsigned counter; /* of temporary names */
};

struct commit_slot {
	const struct commit *owner;
	int fd;
	char id[QUEUE_ID_MAX];
	struct timeval when;
	struct buf bytes;  /* not written yet */
	off_t written;     /* bytes in the file before them */
	const char *queue; /* where the file lies now */
	bool hold;

	/* The job under way: bytes that go to `offset`, outside `bytes`. */
	struct str piece;
	off_t piece_offset;

	/* The first trouble; sticky. */
	int error;
	const char *action;
};

/*
 * XFS, btrfs and ext4 with its journal write the name of a new file no later than the
 * sync of the file. ext2 has ext4's magic; nobody keeps mail on it.
 */
static bool names_are_ordered(int fd)
{
	struct statfs status;
	if (fstatfs(fd, &status) < 0)
		return false;
	unsigned long magic = (unsigned long)status.f_type & 0xffffffffUL;
	return magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC ||
	    magic == BTRFS_SUPER_MAGIC;
}

int commit_open(
    enum commit_engine engine, enum commit_kind kind, bool long_ids, struct commit **c_r)
{
	if (engine != COMMIT_FILE)
		return -ENOTSUP;
	bool drop = kind == COMMIT_MAILDROP;
	const char *queue = drop ? QUEUE_MAILDROP : QUEUE_INCOMING;
	int dir = file_open_at(AT_FDCWD, queue, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	struct commit *c = memory_alloc(sizeof(*c));
	*c = (struct commit){.queue = queue,
	    .dir = dir,
	    .start_mode = drop ? MODE_DROPPING : MODE_WRITING,
	    .ready_mode = drop ? MODE_DROPPED : MODE_READY,
	    .long_ids = long_ids,
	    .ordered = names_are_ordered(dir)};
	*c_r = c;
	return 0;
}

void commit_close(struct commit *c)
{
	if (c == NULL)
		return;
	file_close(&c->dir);
	free(c);
}

/* Jobs live in the caller or its slot, which waits for them. */
static void keep_job(UNUSED void *job)
{
}

/* A fiber sleeps while a thread works; programs without a loop (postdrop) just do it. */
static void run(void (*fn)(void *), void *job)
{
	if (fiber_self() == NULL) {
		fn(job);
		return;
	}
	/* The disk answers in the end, with success or an error: no deadline, so the job
	 * outlives the call. */
	enum run_result result =
	    run_elsewhere(run_pool_disk(), fn, job, keep_job, CLOCK_NEVER);
	ENSURE(result == RUN_DONE);
}

/* Like file_rename, but never over an existing file. */
static int rename_new(int dir, const char *from, const char *to)
{
	int fault = fault_hit(FAULT_RENAME);
	if (fault != 0)
		return -fault;
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	int error = file_link(dir, from, dir, to);
	if (error < 0)
		return error;
	error = file_unlink(dir, from);
	if (error < 0)
		(void)unlinkat(dir, to, 0);
	return error;
}

static int open_temporary(struct commit *c, char *name, size_t size)
{
	int fd = -EEXIST;
	for (int i = 0; i < NAME_TRIES && fd == -EEXIST; i++) {
		/* Never a queue id, because of the dot. */
		(void)snprintf(name, size, "%d.%u", (int)getpid(), c->counter++);
		fd = file_open_at(c->dir, name, O_RDWR | O_CREAT | O_EXCL, c->start_mode);
	}
	return fd;
}

/* The id holds the inode's number, so the file comes first and gets its name then. */
static int give_name(struct commit *c, struct commit_slot *slot, const char *temporary)
{
	struct stat status;
	if (fstat(slot->fd, &status) < 0)
		return -errno;
	int error = file_try_lock(slot->fd, FILE_LOCK_EXCLUSIVE);
	if (error < 0)
		return error;
	slot->when = clock_wall();
	for (int i = 0; i < NAME_TRIES; i++) {
		queue_id_make(slot->id, slot->when, status.st_ino, c->long_ids);
		error = rename_new(c->dir, temporary, slot->id);
		if (error != -EEXIST)
			return error;
		slot->when.tv_usec = (slot->when.tv_usec + 1) % 1000000;
	}
	return error;
}

static struct commit_slot *slot_new(const struct commit *c, int fd)
{
	struct commit_slot *slot = memory_alloc(sizeof(*slot));
	slot->owner = c;
	slot->fd = fd;
	slot->queue = c->queue;
	buf_init(&slot->bytes, COMMIT_MEMORY);
	return slot;
}

int commit_reserve(struct commit *c, struct commit_slot **slot_r)
{
	char temporary[64];
	int fd = open_temporary(c, temporary, sizeof(temporary));
	if (fd < 0)
		return fd;
	struct commit_slot *slot = slot_new(c, fd);
	int error = give_name(c, slot, temporary);
	if (error < 0) {
		(void)unlinkat(c->dir, temporary, 0);
		file_close(&slot->fd);
		free(slot);
		return error;
	}
	*slot_r = slot;
	return 0;
}

static bool is_reservation(const struct commit *c, const struct stat *status)
{
	return S_ISREG(status->st_mode) && (status->st_mode & 07777) == c->start_mode &&
	    status->st_size == 0 && status->st_uid == geteuid();
}

/* Does the name lead to the file that we have locked? */
static bool name_leads_to(const struct commit *c, const char *id, const struct stat *ours)
{
	struct stat there;
	return ours->st_nlink > 0 && file_stat_at(c->dir, id, &there) == 0 &&
	    there.st_dev == ours->st_dev && there.st_ino == ours->st_ino;
}

/* The left-over file of that name, locked. Descriptor, -ENOENT: it is gone, -EEXIST,
 * -EWOULDBLOCK, -errno. */
static int open_reservation(const struct commit *c, const char *id)
{
	struct stat status;
	/* O_NONBLOCK: a FIFO put there must not hold us up. */
	int fd = file_open_at(c->dir, id, O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0 && fstat(fd, &status) < 0)
		error = -errno;
	if (error == 0 && !is_reservation(c, &status))
		error = -EEXIST;
	if (error == 0 && !name_leads_to(c, id, &status))
		error = -ENOENT;
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

static int create_reservation(const struct commit *c, const char *id)
{
	int fd = file_open_at(c->dir, id, O_RDWR | O_CREAT | O_EXCL, c->start_mode);
	if (fd < 0)
		return fd;
	/* Held by somebody who adopts it between these two calls: then it is his. */
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

int commit_adopt(struct commit *c, struct str id, struct commit_slot **slot_r)
{
	char name[QUEUE_ID_MAX];
	if (!queue_id_valid(id) || !str_to_cstr(id, name, sizeof(name)))
		return -EINVAL;
	int fd = open_reservation(c, name);
	if (fd == -ENOENT)
		fd = create_reservation(c, name);
	if (fd < 0)
		return fd;
	struct commit_slot *slot = slot_new(c, fd);
	memcpy(slot->id, name, sizeof(name));
	slot->when = clock_wall();
	*slot_r = slot;
	return 0;
}

const char *commit_id(const struct commit_slot *slot)
{
	return slot->id;
}

struct timeval commit_time(const struct commit_slot *slot)
{
	return slot->when;
}

static void trouble(struct commit_slot *slot, const char *action, int error)
{
	if (slot->error != 0 || error >= 0)
		return;
	slot->error = error;
	slot->action = action;
}

/* Says what happened where, and for a full disk how much would have been needed. */
static bool explain(const struct commit_slot *slot, struct why *why)
{
	long long needed = (long long)slot->written + (long long)slot->bytes.len;
	bool full = slot->error == -ENOSPC || slot->error == -EDQUOT;
	if (full && needed > 0)
		return why_system(why, slot->error, "%s %s/%s (%lld bytes needed)",
		    slot->action, slot->owner->queue, slot->id, needed);
	return why_system(
	    why, slot->error, "%s %s/%s", slot->action, slot->owner->queue, slot->id);
}

static void write_bytes_job(void *job)
{
	struct commit_slot *slot = job;
	if (slot->error != 0 || slot->bytes.len == 0)
		return;
	int error =
	    file_write_all_at(slot->fd, slot->bytes.p, slot->bytes.len, slot->written);
	trouble(slot, "write", error);
	if (error < 0)
		return;
	slot->written += (off_t)slot->bytes.len;
	buf_clear(&slot->bytes);
}

static void write_piece_job(void *job)
{
	struct commit_slot *slot = job;
	int error = file_write_all_at(
	    slot->fd, slot->piece.p, slot->piece.len, slot->piece_offset);
	trouble(slot, "write", error);
}

static void write_piece(struct commit_slot *slot, struct str piece, off_t offset)
{
	slot->piece = piece;
	slot->piece_offset = offset;
	run(write_piece_job, slot);
	slot->piece = STR_EMPTY;
}

bool commit_add(struct commit_slot *slot, struct str bytes, struct why *why)
{
	if (slot->error == 0 && bytes.len > COMMIT_MEMORY - slot->bytes.len)
		run(write_bytes_job, slot);
	if (slot->error == 0 && bytes.len > COMMIT_MEMORY) {
		write_piece(slot, bytes, slot->written);
		slot->written += (off_t)bytes.len;
	} else if (slot->error == 0) {
		buf_add_str(&slot->bytes, bytes);
	}
	return slot->error == 0 || explain(slot, why);
}

bool commit_patch(
    struct commit_slot *slot, size_t offset, struct str bytes, struct why *why)
{
	size_t written = (size_t)slot->written;
	ENSURE(offset <= written + slot->bytes.len &&
	    bytes.len <= written + slot->bytes.len - offset);
	if (slot->error == 0 && offset < written) {
		struct str piece = str_slice(bytes, 0, written - offset);
		write_piece(slot, piece, (off_t)offset);
		bytes = str_skip(bytes, piece.len);
		offset += piece.len;
	}
	if (slot->error == 0 && bytes.len > 0)
		memcpy(slot->bytes.p + (offset - written), bytes.p, bytes.len);
	return slot->error == 0 || explain(slot, why);
}

static int sync_file_system(int fd)
{
	int fault = fault_hit(FAULT_FSYNC);
	if (fault != 0)
		return -fault;
	return syncfs(fd) < 0 ? -errno : 0;
}

static int sync_name(int fd, const char *directory)
{
	if (names_are_ordered(fd))
		return 0;
	int error = file_sync_dir(AT_FDCWD, directory);
	/* A directory that we may not open (maildrop) is synced with all the rest. */
	return error == -EACCES ? sync_file_system(fd) : error;
}

static int sync_names(const struct commit_slot *slot)
{
	char path[QUEUE_PATH_MAX];
	if (slot->owner->ordered)
		return 0;
	queue_path(path, slot->queue, str_of(slot->id));
	char *slash = strrchr(path, '/');
	*slash = '\0';
	return sync_name(slot->fd, path);
}

static void undo(struct commit_slot *slot)
{
	char path[QUEUE_PATH_MAX];
	queue_path(path, slot->queue, str_of(slot->id));
	(void)unlinkat(AT_FDCWD, path, 0);
	file_close(&slot->fd);
}

static void undo_job(void *job)
{
	undo(job);
}

/*
 * The steps of doc/commit.md. One sync carries data, mode and names, so the file is made
 * ready before it; the lock keeps others off until it is through. A failed sync is never
 * repeated: the kernel may have dropped the pages and would report success.
 */
static void finish_job(void *job)
{
	struct commit_slot *slot = job;
	write_bytes_job(slot);
	if (slot->error == 0)
		trouble(slot, "chmod", file_chmod(slot->fd, slot->owner->ready_mode));
	if (slot->error == 0 && slot->hold) {
		trouble(slot, "rename",
		    queue_move(str_of(slot->id), slot->queue, QUEUE_HOLD));
		if (slot->error == 0)
			slot->queue = QUEUE_HOLD;
	}
	if (slot->error == 0)
		trouble(slot, "fsync", file_sync(slot->fd));
	if (slot->error == 0)
		trouble(slot, "fsync directory of", sync_names(slot));
	if (slot->error != 0)
		undo(slot);
}

static void slot_free(struct commit_slot *slot)
{
	file_close(&slot->fd);
	buf_free(&slot->bytes);
	free(slot);
}

bool commit_finish(struct commit_slot *slot, bool hold, struct why *why)
{
	slot->hold = hold;
	run(finish_job, slot);
	bool done = slot->error == 0 || explain(slot, why);
	slot_free(slot);
	return done;
}

void commit_cancel(struct commit_slot *slot)
{
	if (slot == NULL)
		return;
	run(undo_job, slot);
	slot_free(slot);
}

struct sync_job {
	int fd;
	const char *directory;
	int result;
};

static void sync_fd_job(void *job)
{
	struct sync_job *j = job;
	j->result = file_sync(j->fd);
}

int commit_sync_fd(int fd)
{
	struct sync_job job = {.fd = fd};
	run(sync_fd_job, &job);
	return job.result;
}

static void sync_name_job(void *job)
{
	struct sync_job *j = job;
	j->result = sync_name(j->fd, j->directory);
}

int commit_sync_name(int fd_of_file, const char *directory)
{
	struct sync_job job = {.fd = fd_of_file, .directory = directory};
	run(sync_name_job, &job);
	return job.result;
}
