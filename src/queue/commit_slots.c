#include "queue/commit_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "queue/commit_segment.h"
#include "queue/queue_file.h"

#define DIRECTORIES_MAX 1000
#define FILES_MAX       400 /* each has a descriptor */
#define LOOKED_AT       8   /* of those that wait, for each that is taken */
#define LATE_MS         1000
#define NAME_SIZE       16
#define KEPT_MAX        (16 * 1024) /* bytes of a message that is over: more are cut off */

struct commit_slots {
	int dir;
	uint16_t number; /* of the directory */
	uint32_t next;   /* number of the next file */
	size_t count;    /* files that we have, in whatever state */
	struct list_link free;
	struct list_link taken;
	struct list_link waiting; /* in order of acceptance */
	int64_t wanted;           /* stamp up to which somebody waits for us */
	int64_t looked_at; /* monotonic ms: when it was asked whether it is crowded */
	bool retired;
};

/* --- the directory --- */

/* Descriptor, locked; -EWOULDBLOCK: somebody else's. */
static int take_directory(unsigned number)
{
	char path[QUEUE_PLACE_MAX];
	(void)snprintf(path, sizeof(path), COMMIT_SLOTS "/%u", number);
	int error = file_make_dir(path, 0700);
	int dir =
	    error == 0 ? file_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) : error;
	error = dir < 0 ? dir : file_try_lock(dir, FILE_LOCK_EXCLUSIVE);
	if (error < 0)
		file_close(&dir);
	return error < 0 ? error : dir;
}

static struct slot_file *file_new(struct commit_slots *s, int fd, uint32_t number)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return NULL;
	struct slot_file *f = memory_alloc(sizeof(*f));
	f->fd = fd;
	f->size = status.st_size;
	f->inode = status.st_ino;
	list_init(&f->link);
	f->message.place = queue_place(s->number, number);
	s->count++;
	return f;
}

/* Nothing lies there, or a message that is over. */
static bool is_free(int fd)
{
	char first = QUEUE_OVER;
	ssize_t got = file_read_at(fd, &first, sizeof(first), 0);
	return got >= 0 && first == QUEUE_OVER;
}

/* What a process that died left: free ones are ours; what lies in another is a message
 * that its record speaks of, or is none, and recovery removes it. */
static int inherit_file(void *context, UNUSED int dir, const char *name)
{
	struct commit_slots *s = context;
	int64_t number;
	struct stat status;
	if (!str_to_range(str_of(name), 0, UINT32_MAX - 1, &number))
		return 0;
	if (number >= s->next)
		s->next = (uint32_t)number + 1;
	int fd = file_open_at(s->dir, name, O_RDWR | O_NONBLOCK, 0);
	struct slot_file *f = NULL;
	if (fd >= 0 && s->count < FILES_MAX && fstat(fd, &status) == 0 &&
	    S_ISREG(status.st_mode) && status.st_nlink == 1 && is_free(fd) &&
	    (status.st_mode & 07777) == QUEUE_MODE_READY && status.st_uid == geteuid())
		f = file_new(s, fd, (uint32_t)number);
	if (f != NULL)
		list_append(&s->free, &f->link);
	else
		file_close(&fd);
	return 0;
}

int commit_slots_open(struct commit_slots **s_r)
{
	int error = file_make_dir(SEGMENT_DIRECTORY, 0700);
	if (error == 0)
		error = file_make_dir(COMMIT_SLOTS, 0700);
	int dir = error == 0 ? -EWOULDBLOCK : error;
	unsigned number = 0;
	for (; dir == -EWOULDBLOCK && number < DIRECTORIES_MAX; number++)
		dir = take_directory(number);
	if (dir < 0)
		return dir;
	if (!file_system_is_ordered(dir)) {
		file_close(&dir);
		return -EOPNOTSUPP;
	}
	struct commit_slots *s = memory_alloc(sizeof(*s));
	s->dir = dir;
	s->number = (uint16_t)(number - 1);
	list_init(&s->free);
	list_init(&s->taken);
	list_init(&s->waiting);
	error = file_list_each(dir, ".", inherit_file, s);
	if (error < 0)
		commit_slots_close(s);
	else
		*s_r = s;
	return error;
}

static void close_all(struct commit_slots *s, struct list_link *files)
{
	struct slot_file *f, *after;
	LIST_FOREACH_SAFE (f, after, files, struct slot_file, link)
		commit_slots_forget(s, f);
}

void commit_slots_close(struct commit_slots *s)
{
	if (s == NULL)
		return;
	close_all(s, &s->free);
	close_all(s, &s->taken);
	close_all(s, &s->waiting);
	file_close(&s->dir);
	free(s);
}

void commit_slots_retire(struct commit_slots *s)
{
	s->retired = true;
	close_all(s, &s->free);
}

/* --- taking --- */

static void file_name(char name[NAME_SIZE], uint32_t number)
{
	(void)snprintf(name, NAME_SIZE, "%u", (unsigned)number);
}

/* Only where a message lies without a name its first byte says that it is over. For all
 * else the name is asked: a file that got one in a queue, and whose message is over, is
 * empty, and belongs to the pool. */
static bool still_waits(struct commit_slots *s, struct slot_file *f)
{
	char name[NAME_SIZE];
	struct stat status = {.st_size = f->size};
	char first;
	ssize_t got = file_read_at(f->fd, &first, sizeof(first), 0);
	if (got != sizeof(first) || first != QUEUE_OVER) {
		file_name(name, queue_place_number(f->message.place));
		int error = file_stat_at(s->dir, name, &status);
		if (error == -ENOENT || (error == 0 && status.st_ino != f->inode)) {
			commit_slots_forget(s, f);
			return false;
		}
		if (error < 0 || status.st_size > 0)
			return true;
	}
	f->size = status.st_size;
	list_remove(&f->link);
	list_append(&s->free, &f->link);
	return false;
}

static void look_for_settled(struct commit_slots *s)
{
	struct list_link *at = s->waiting.next, *next;
	for (int i = 0; i < LOOKED_AT && at != &s->waiting; i++, at = next) {
		next = at->next;
		(void)still_waits(s, LIST_ENTRY(at, struct slot_file, link));
	}
}

static struct slot_file *make_file(struct commit_slots *s)
{
	char name[NAME_SIZE];
	struct slot_file *f = NULL;
	if (s->count >= FILES_MAX || s->next == UINT32_MAX)
		return NULL;
	file_name(name, s->next);
	int fd = file_open_at(s->dir, name, O_RDWR | O_CREAT | O_EXCL, QUEUE_MODE_READY);
	if (fd >= 0 && fchmod(fd, QUEUE_MODE_READY) == 0)
		f = file_new(s, fd, s->next++);
	if (f == NULL)
		file_close(&fd);
	return f;
}

/* Many may ask; in one millisecond the answer is the same. */
bool commit_slots_crowded(struct commit_slots *s)
{
	int64_t now = clock_ms();
	if (s->retired || s->count < FILES_MAX || !list_empty(&s->free))
		return false;
	if (now != s->looked_at)
		look_for_settled(s);
	s->looked_at = now;
	return list_empty(&s->free);
}

struct slot_file *commit_slots_take(struct commit_slots *s)
{
	if (s->retired)
		return NULL;
	if (list_empty(&s->free))
		look_for_settled(s);
	struct slot_file *f = LIST_FIRST(&s->free, struct slot_file, link);
	if (f == NULL)
		f = make_file(s);
	if (f == NULL)
		return NULL;
	list_remove(&f->link);
	bool locked = file_try_lock(f->fd, FILE_LOCK_EXCLUSIVE) == 0;
	/* Whom a qmgr that is gone sent to the message before may still hold it. */
	list_append(locked ? &s->taken : &s->free, &f->link);
	f->stamp = 0;
	return locked ? f : NULL;
}

int commit_slots_written(struct slot_file *f, off_t size)
{
	int error = size < f->size ? file_truncate(f->fd, size) : 0;
	if (error == 0)
		f->size = size;
	return error;
}

void commit_slots_accepted(
    struct commit_slots *s, struct slot_file *f, struct timeval arrival)
{
	f->message.arrival = arrival;
	f->since = clock_ms();
	f->asked = 0;
	list_remove(&f->link);
	list_append(&s->waiting, &f->link);
	file_unlock(f->fd);
}

void commit_slots_give_back(struct commit_slots *s, struct slot_file *f)
{
	list_remove(&f->link);
	list_append(&s->free, &f->link);
	file_unlock(f->fd);
}

void commit_slots_forget(struct commit_slots *s, struct slot_file *f)
{
	s->count--;
	list_remove(&f->link);
	file_close(&f->fd);
	free(f);
}

/* --- waiting --- */

bool commit_slots_waiting(const struct commit_slots *s)
{
	return !list_empty(&s->waiting);
}

bool commit_slots_owe(struct commit_slots *s, int64_t stamp)
{
	struct slot_file *f, *after;
	bool owe = false;
	LIST_FOREACH (f, &s->taken, struct slot_file, link)
		owe = owe || (f->stamp > 0 && f->stamp <= stamp);
	LIST_FOREACH_SAFE (f, after, &s->waiting, struct slot_file, link)
		if (f->stamp <= stamp)
			owe = still_waits(s, f) || owe;
	if (stamp > s->wanted)
		s->wanted = stamp;
	return owe;
}

void commit_slots_late(struct commit_slots *s,
    void (*each)(void *context, const struct commit_message *m), void *context)
{
	int64_t now = clock_ms();
	struct slot_file *f, *after;
	LIST_FOREACH_SAFE (f, after, &s->waiting, struct slot_file, link) {
		if (now < f->since + LATE_MS && f->stamp > s->wanted)
			continue;
		if (now < f->asked + LATE_MS || !still_waits(s, f))
			continue;
		f->asked = now;
		each(context, &f->message);
	}
}

/* --- what lies there --- */

static int open_place(uint64_t place, struct str id, int flags, struct stat *status_r)
{
	char path[QUEUE_PLACE_MAX];
	queue_place_path(path, place);
	int fd = file_open_at(AT_FDCWD, path, flags | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	int error = fstat(fd, status_r) < 0 ? -errno : 0;
	if (error == 0 &&
	    (status_r->st_size == 0 || !queue_id_has_inode(id, status_r->st_ino)))
		error = -ENOENT;
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

int commit_message_lies(const struct commit_message *m)
{
	char bytes[QUEUE_FRONT_MAX];
	struct stat status;
	struct timeval arrival;
	CLEANUP(file_close)
	int fd = open_place(m->place, str_of(m->id), O_RDONLY, &status);
	ssize_t got = fd < 0 ? fd : file_read_at(fd, bytes, sizeof(bytes), 0);
	if (got < 0)
		return got == -ENOENT ? 0 : (int)got;
	return bytes[0] != QUEUE_OVER &&
	    queue_arrival((struct str){bytes, (size_t)got}, &arrival) &&
	    arrival.tv_sec == m->arrival.tv_sec && arrival.tv_usec == m->arrival.tv_usec;
}

/* A file that was cut to nothing is closed before the next message comes: ext4 and XFS
 * write it at its next close. */
int commit_message_end_open(int fd, off_t size)
{
	const char over = QUEUE_OVER;
	return size > KEPT_MAX ? file_truncate(fd, 0)
			       : file_write_all_at(fd, &over, sizeof(over), 0);
}

int commit_message_end(uint64_t place, struct str id)
{
	struct stat status;
	CLEANUP(file_close) int fd = open_place(place, id, O_WRONLY, &status);
	return fd < 0 ? fd : commit_message_end_open(fd, status.st_size);
}

struct visitor {
	int (*visit)(void *context, int dir, const char *name);
};

static int visit_directory(void *context, int dir, const char *name)
{
	const struct visitor *v = context;
	int result = file_list_each(dir, name, v->visit, NULL);
	return result == -ENOTDIR || result == -ENOENT ? 0 : result;
}

/* Whatever `visit` says for each file, until it is not 0. */
static int each_file(int (*visit)(void *context, int dir, const char *name))
{
	struct visitor v = {.visit = visit};
	int result = file_list_each(AT_FDCWD, COMMIT_SLOTS, visit_directory, &v);
	return result == -ENOENT ? 0 : result;
}

static int is_used(UNUSED void *context, int dir, const char *name)
{
	CLEANUP(file_close) int fd = file_open_at(dir, name, O_RDONLY | O_NONBLOCK, 0);
	return fd < 0 ? fd : !is_free(fd);
}

bool commit_slots_used(void)
{
	return each_file(is_used) != 0;
}

static int remove_file(UNUSED void *context, int dir, const char *name)
{
	return file_unlink(dir, name);
}

int commit_slots_empty(void)
{
	return each_file(remove_file);
}
