/*
 * -s, -S, -p: names that do not fit the inode, files in the wrong directory, directories
 * that nobody needs, files that were never finished.
 *
 * The id that a file should have may be that of another one that has to go first, so
 * names change in two steps: all to "ID#", which nobody takes for a queue file, then
 * those to "ID". Where that was interrupted, the next run goes on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "postsuper/postsuper.h"

#define DAY       86400
#define DEPTH_MAX 16
#define MARK      "#"

static const char *const message_queues[] = {
    QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD};
static const char *const log_queues[] = {QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE};

struct entry {
	char path[QUEUE_PATH_MAX];
	char name[QUEUE_ID_MAX + 2];
};

struct check {
	const struct structure_work *work;
	const struct target *target;
	const char *queue;
	bool logs; /* the queue holds logs */
	struct entry *entries;
	size_t count, room;
	size_t renamed;
};

/* --- what is there --- */

static void add_entry(struct check *c, const char *path, const char *name)
{
	struct entry entry;
	int a = snprintf(entry.path, sizeof(entry.path), "%s/%s", path, name);
	int b = snprintf(entry.name, sizeof(entry.name), "%s", name);
	if (a >= (int)sizeof(entry.path) || b >= (int)sizeof(entry.name)) {
		log_warning("bogus file name: %s/%s", path, name);
		return;
	}
	if (c->count == c->room) {
		c->room = c->room == 0 ? 1024 : c->room * 2;
		c->entries = memory_resize(c->entries, c->room * sizeof(*c->entries));
	}
	c->entries[c->count++] = entry;
}

static void collect(struct check *c, const char *path, unsigned depth)
{
	char below[QUEUE_PATH_MAX];
	DIR *directory = opendir(path);
	if (directory == NULL) {
		log_warning("open directory %s: %s", path, strerror(errno));
		return;
	}
	const struct dirent *e;
	while ((e = readdir(directory)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		int len = snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (strlen(e->d_name) > 1)
			add_entry(c, path, e->d_name);
		else if (depth < DEPTH_MAX && len < (int)sizeof(below))
			collect(c, below, depth + 1);
	}
	(void)closedir(directory);
}

/* --- one file --- */

/* "ID#" is on its way to ID. */
static struct str id_of(const struct entry *e)
{
	struct str name = str_of(e->name);
	return str_ends(name, STR(MARK)) ? str_slice(name, 0, name.len - 1) : name;
}

static bool is_marked(const struct entry *e)
{
	return str_ends(str_of(e->name), STR(MARK));
}

static void rename_file(const char *from, const char *to)
{
	int error =
	    access(to, F_OK) == 0 ? -EEXIST : file_rename(AT_FDCWD, from, AT_FDCWD, to);
	if (error < 0 && error != -ENOENT)
		log_warning("rename %s as %s: %s", from, to, strerror(-error));
	else
		log_debug("renamed file %s as %s", from, to);
}

static void mark_path(char path[QUEUE_PATH_MAX], const char *queue, const char *id)
{
	char name[QUEUE_ID_MAX + 2];
	(void)snprintf(name, sizeof(name), "%s" MARK, id);
	(void)snprintf(path, QUEUE_PATH_MAX, "%s/%s", queue, name);
}

/* Its logs first: when this is interrupted between, the message is still to be renamed to
 * the same id. */
static void take_new_name(struct check *c, const struct entry *e, const char *id)
{
	char from[QUEUE_PATH_MAX];
	char to[QUEUE_PATH_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(log_queues); i++) {
		queue_path(from, log_queues[i], id_of(e));
		mark_path(to, log_queues[i], id);
		if (access(from, F_OK) == 0)
			rename_file(from, to);
	}
	mark_path(to, c->queue, id);
	rename_file(e->path, to);
	c->renamed++;
}

static void take_its_place(const struct check *c, const struct entry *e)
{
	char place[QUEUE_PATH_MAX];
	queue_path(place, c->queue, id_of(e));
	if (strcmp(place, e->path) == 0)
		return;
	int error = queue_take_in(e->path, c->queue, id_of(e));
	if (error < 0 && error != -ENOENT)
		log_warning("rename %s as %s: %s", e->path, place, strerror(-error));
	else
		log_debug("renamed file %s as %s", e->path, place);
}

static void purge(const struct entry *e, const struct stat *status)
{
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, e->path, O_RDONLY, 0);
	if (clock_wall_seconds() - status->st_mtim.tv_sec < DAY || fd < 0 ||
	    file_try_lock(fd, FILE_LOCK_EXCLUSIVE) != 0)
		return; /* somebody still writes it */
	int error = file_unlink(AT_FDCWD, e->path);
	if (error < 0)
		log_warning("remove %s: %s", e->path, strerror(-error));
	else
		log_debug("removed file %s", e->path);
}

static void check_message(struct check *c, const struct entry *e, const struct stat *s)
{
	char id[QUEUE_ID_MAX];
	uint32_t ignored = 0;
	bool is_long = queue_id_long_microseconds(id_of(e), &ignored);
	if (!(s->st_mode & S_IXUSR)) {
		if (c->work->purge)
			purge(e, s);
		return;
	}
	if (!c->work->names || is_marked(e))
		return;
	queue_id_with_inode(id, id_of(e), s->st_ino, c->work->long_ids);
	bool keeps = is_long && c->work->long_ids && !c->work->strict;
	if (keeps || str_is(id_of(e), id))
		take_its_place(c, e);
	else
		take_new_name(c, e, id);
}

static void check_entry(struct check *c, const struct entry *e)
{
	struct stat status;
	if (lstat(e->path, &status) < 0)
		return; /* gone meanwhile */
	if (!S_ISREG(status.st_mode) || !queue_id_valid(id_of(e)))
		log_warning("bogus file name: %s", e->path);
	else if (c->logs && c->work->names && !is_marked(e))
		take_its_place(c, e);
	else if (!c->logs &&
	    (status.st_uid == c->target->owner || strcmp(c->queue, QUEUE_MAILDROP) == 0))
		check_message(c, e, &status);
}

/* --- a queue --- */

static unsigned depth_of(const char *queue)
{
	char path[QUEUE_PATH_MAX];
	unsigned slashes = 0;
	queue_path(path, queue, STR("00000"));
	for (const char *p = path; *p != '\0'; p++)
		slashes += *p == '/';
	return slashes - 1;
}

static void remove_directories(const char *path, unsigned depth, unsigned needed)
{
	char below[QUEUE_PATH_MAX];
	DIR *directory = opendir(path);
	const struct dirent *e;
	while (directory != NULL && depth < DEPTH_MAX && (e = readdir(directory)) != NULL)
		if (strlen(e->d_name) == 1 && e->d_name[0] != '.' &&
		    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) <
			(int)sizeof(below))
			remove_directories(below, depth + 1, needed);
	if (directory != NULL)
		(void)closedir(directory);
	if (depth > needed && rmdir(path) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		log_warning("remove directory %s: %s", path, strerror(errno));
}

static void finish_names(struct check *c)
{
	c->count = 0;
	collect(c, c->queue, 0);
	if (c->entries == NULL) /* no file was ever there */
		return;
	for (size_t i = 0; i < c->count; i++) {
		const struct entry *e = &c->entries[i];
		if (is_marked(e) && queue_id_valid(id_of(e)))
			take_its_place(c, e);
	}
}

static void each_queue(struct check *c, void (*call)(struct check *c))
{
	for (size_t i = 0; i < ARRAY_SIZE(message_queues) + ARRAY_SIZE(log_queues); i++) {
		c->logs = i >= ARRAY_SIZE(message_queues);
		c->queue = c->logs ? log_queues[i - ARRAY_SIZE(message_queues)]
				   : message_queues[i];
		if (target_has(c->target, c->queue) || (c->logs && call == finish_names))
			call(c);
	}
}

static void check_queue(struct check *c)
{
	c->count = 0;
	collect(c, c->queue, 0);
	for (size_t i = 0; i < c->count; i++)
		check_entry(c, &c->entries[i]);
}

static void remove_hash_directories(struct check *c)
{
	remove_directories(c->queue, 0, depth_of(c->queue));
}

size_t structure_check(const struct structure_work *work, const struct target *t)
{
	struct check c = {.work = work, .target = t};
	each_queue(&c, check_queue);
	if (work->names) {
		each_queue(&c, finish_names);
		each_queue(&c, remove_hash_directories);
	}
	free(c.entries);
	return c.renamed;
}
