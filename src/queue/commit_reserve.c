/* How a slot gets its file and its queue id. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "queue/commit_private.h"
#include "run/fiber.h"

#define NAME_TRIES   100
#define ROOM_WAIT_MS 20
#define ROOM_LOOK_MS 2

/* In the queue itself, under a name that is no queue id, because of the dot. */
static int make_beside(struct commit *c, char name[COMMIT_POOL_NAME], struct stat *status)
{
	int fd = -EEXIST;
	for (int i = 0; i < NAME_TRIES && fd == -EEXIST; i++) {
		(void)snprintf(
		    name, COMMIT_POOL_NAME, "%d.%u", (int)getpid(), c->counter++);
		fd = file_open_at(c->dir, name, O_RDWR | O_CREAT | O_EXCL, c->mode);
	}
	if (fd < 0)
		return fd;
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0 && fstat(fd, status) < 0)
		error = -errno;
	if (error < 0) {
		(void)unlinkat(c->dir, name, 0);
		file_close(&fd);
	}
	return error < 0 ? error : fd;
}

/* One that needs no name, with its status as far as we need it. */
static struct slot_file *get_slot_file(struct commit *c, struct stat *status)
{
	struct slot_file *f = c->slots != NULL ? commit_slots_take(c->slots) : NULL;
	if (f == NULL)
		return NULL;
	status->st_ino = f->inode;
	status->st_mode = c->mode;
	return f;
}

static int get_file(struct commit *c, char name[COMMIT_POOL_NAME], struct stat *status)
{
	if (c->pool == NULL)
		return make_beside(c, name, status);
	int fd = commit_pool_take(c->pool, name, status);
	for (int i = 0; i < NAME_TRIES && (fd == -ENOENT || fd == -EWOULDBLOCK); i++)
		fd = commit_pool_make(c->pool, name, status);
	return fd;
}

static int slot_new(struct commit *c, struct slot_file *file, struct stat *status,
    struct commit_slot **slot_r)
{
	char name[COMMIT_POOL_NAME];
	int fd = file != NULL ? file->fd : get_file(c, name, status);
	if (fd < 0)
		return fd;
	struct commit_slot *slot = memory_alloc(sizeof(*slot));
	slot->owner = c;
	slot->fd = fd;
	slot->file = file;
	slot->mode = status->st_mode & 07777;
	slot->when = clock_wall();
	if (file != NULL)
		queue_place_path(slot->path, file->message.place);
	else
		(void)snprintf(slot->path, sizeof(slot->path), "%s/%s",
		    c->pool == NULL ? c->queue : COMMIT_POOL, name);
	buf_init(&slot->bytes, COMMIT_ROOM);
	*slot_r = slot;
	return 0;
}

void commit_await_room(struct commit *c)
{
	int64_t deadline = deadline_after_ms(ROOM_WAIT_MS);
	while (
	    c->slots != NULL && commit_slots_crowded(c->slots) && clock_ms() < deadline)
		fiber_sleep_ms(ROOM_LOOK_MS);
}

/* The id holds the number of the inode, so nobody else gives the same while we have it.
 */
int commit_reserve(struct commit *c, struct commit_slot **slot_r)
{
	struct stat status = {.st_size = 0};
	struct slot_file *file = get_slot_file(c, &status);
	int error = slot_new(c, file, &status, slot_r);
	if (error < 0)
		return error;
	queue_id_make((*slot_r)->id, (*slot_r)->when, status.st_ino, c->long_ids);
	if (file != NULL)
		memcpy(file->message.id, (*slot_r)->id, sizeof(file->message.id));
	return 0;
}

static bool is_taken(const char *id)
{
	static const char *const queues[] = {
	    QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD};
	char path[QUEUE_PATH_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		queue_path(path, queues[i], str_of(id));
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

int commit_adopt(struct commit *c, struct str id, struct commit_slot **slot_r)
{
	char name[QUEUE_ID_MAX];
	struct stat status = {.st_size = 0};
	if (!queue_id_valid(id) || !str_to_cstr(id, name, sizeof(name)))
		return -EINVAL;
	if (is_taken(name))
		return -EEXIST;
	int error = slot_new(c, NULL, &status, slot_r);
	if (error == 0)
		memcpy((*slot_r)->id, name, sizeof(name));
	return error;
}
