/* How a slot gets its queue id: a new file in the queue, or one that was left over. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "queue/commit_private.h"

#define NAME_TRIES 100

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
