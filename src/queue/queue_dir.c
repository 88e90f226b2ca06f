#include "queue/queue_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#define HASH_DEPTH_MAX  16
#define HASH_NAMES_MAX  1024
#define OTHER_DEPTH_MAX 3
#define LINK_GRACE      60 /* seconds a second link may live: a move by link and unlink */

/* Set once at start: which queues are hashed, and how deep. */
static char hash_names[HASH_NAMES_MAX];
static struct str hashed[HASH_NAMES_MAX / 2 + 1];
static size_t hashed_count;
static unsigned hash_depth;

void queue_dir_configure(struct str names, unsigned depth)
{
	names = str_slice(names, 0, HASH_NAMES_MAX - 1);
	memcpy(hash_names, names.p, names.len);
	names.p = hash_names;
	hashed_count = 0;
	while (str_next(&names, ", \t\r\n", &hashed[hashed_count]))
		hashed_count++;
	hash_depth = depth > HASH_DEPTH_MAX ? HASH_DEPTH_MAX : depth;
}

/* New files get their name only when their inode is known, in one directory that stays
 * open: these two queues are never hashed, whatever the configuration says. A queue that
 * Postfix left may be hashed otherwise: see elsewhere(). */
static bool is_flat(const char *queue)
{
	return strcmp(queue, QUEUE_INCOMING) == 0 || strcmp(queue, QUEUE_MAILDROP) == 0;
}

static unsigned depth_of(const char *queue)
{
	if (is_flat(queue))
		return 0;
	for (size_t i = 0; i < hashed_count; i++)
		if (str_is(hashed[i], queue))
			return hash_depth;
	return 0;
}

static bool is_place(const char *queue)
{
	return strncmp(queue, QUEUE_SLOTS "/", sizeof(QUEUE_SLOTS)) == 0;
}

/* What of a path is to be written, without the NUL. */
struct path_space {
	char *p;
	size_t len;
};

/* A path that is too long is cut. */
static void put(struct path_space *space, struct str s)
{
	s = str_slice(s, 0, space->len);
	memcpy(space->p, s.p, s.len);
	space->p += s.len;
	space->len -= s.len;
	*space->p = '\0';
}

/* Long ids begin with the seconds, which would put all new mail into one directory; their
 * microseconds are used instead, written as a short id has them. */
static void path_at(
    char path[QUEUE_PATH_MAX], const char *queue, unsigned depth, struct str id)
{
	char hex[8] = "";
	uint32_t microseconds = 0;
	struct str source = id;
	if (depth > 0 && queue_id_long_microseconds(id, &microseconds)) {
		(void)snprintf(hex, sizeof(hex), "%05X", microseconds);
		source = str_of(hex);
	}
	char levels[2 * HASH_DEPTH_MAX];
	size_t at = 0;
	for (unsigned i = 0; i < depth; i++) {
		levels[at++] = i < source.len ? source.p[i] : '_';
		levels[at++] = '/';
	}
	struct path_space space = {path, QUEUE_PATH_MAX - 1};
	put(&space, str_of(queue));
	put(&space, STR("/"));
	put(&space, (struct str){levels, at});
	put(&space, id);
}

void queue_path(char path[QUEUE_PATH_MAX], const char *queue, struct str id)
{
	if (is_place(queue))
		put(&(struct path_space){path, QUEUE_PATH_MAX - 1}, str_of(queue));
	else
		path_at(path, queue, depth_of(queue), id);
}

uint64_t queue_place(uint16_t directory, uint32_t number)
{
	return ((uint64_t)directory << 32 | number) + 1;
}

uint32_t queue_place_number(uint64_t place)
{
	return (uint32_t)(place - 1);
}

void queue_place_path(char path[QUEUE_PLACE_MAX], uint64_t place)
{
	static const char slots[] = QUEUE_SLOTS "/";
	memcpy(path, slots, sizeof(slots) - 1);
	path = str_put_u64(path + sizeof(slots) - 1, (uint16_t)((place - 1) >> 32), 0);
	*path++ = '/';
	*str_put_u64(path, queue_place_number(place), 0) = '\0';
}

uint64_t queue_place_of(struct str path)
{
	char again[QUEUE_PLACE_MAX];
	int64_t directory, number;
	if (!str_starts(path, STR(QUEUE_SLOTS "/")))
		return 0;
	struct str rest = str_skip(path, sizeof(QUEUE_SLOTS "/") - 1);
	ptrdiff_t slash = str_find(rest, '/');
	if (slash < 0 ||
	    !str_to_range(str_slice(rest, 0, (size_t)slash), 0, UINT16_MAX, &directory) ||
	    !str_to_range(str_skip(rest, (size_t)slash + 1), 0, UINT32_MAX, &number))
		return 0;
	uint64_t place = queue_place((uint16_t)directory, (uint32_t)number);
	queue_place_path(again, place);
	return str_is(path, again) ? place : 0;
}

/*
 * A message of another depth than is configured now: from before a change, or of a queue
 * that was handed over. Only messages are worth the search; logs are put right by
 * postsuper -s. False: it is not there either.
 */
static bool elsewhere(char path[QUEUE_PATH_MAX], const char *queue, struct str id)
{
	static const char *const messages[] = {
	    QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD};
	size_t i = 0;
	while (i < ARRAY_SIZE(messages) && strcmp(messages[i], queue) != 0)
		i++;
	for (unsigned depth = 0; i < ARRAY_SIZE(messages) && depth <= OTHER_DEPTH_MAX;
	     depth++) {
		path_at(path, queue, depth, id);
		if (depth != depth_of(queue) &&
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

/* Makes the directories that lead to `path`, the queue itself excepted. */
static int make_hash_directories(const char *queue, const char *path)
{
	char directory[QUEUE_PATH_MAX];
	size_t len = strlen(path);
	for (size_t i = strlen(queue) + 1; i < len; i++) {
		if (path[i] != '/')
			continue;
		memcpy(directory, path, i);
		directory[i] = '\0';
		if (mkdir(directory, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int queue_move(struct str id, const char *from, const char *to)
{
	char old_path[QUEUE_PATH_MAX];
	char new_path[QUEUE_PATH_MAX];
	char other_path[QUEUE_PATH_MAX];
	queue_path(old_path, from, id);
	queue_path(new_path, to, id);
	int error = file_rename(AT_FDCWD, old_path, AT_FDCWD, new_path);
	if (error == -ENOENT && elsewhere(other_path, from, id)) {
		memcpy(old_path, other_path, sizeof(old_path));
		error = file_rename(AT_FDCWD, old_path, AT_FDCWD, new_path);
	}
	if (error != -ENOENT || depth_of(to) == 0)
		return error;
	error = make_hash_directories(to, new_path);
	return error < 0 ? error : file_rename(AT_FDCWD, old_path, AT_FDCWD, new_path);
}

int queue_take_in(const char *path, const char *queue, struct str id)
{
	char place[QUEUE_PATH_MAX];
	queue_path(place, queue, id);
	int error = file_rename_new(AT_FDCWD, path, AT_FDCWD, place);
	if (error != -ENOENT || depth_of(queue) == 0)
		return error;
	error = make_hash_directories(queue, place);
	return error < 0 ? error : file_rename_new(AT_FDCWD, path, AT_FDCWD, place);
}

int queue_remove(const char *queue, struct str id)
{
	char path[QUEUE_PATH_MAX];
	queue_path(path, queue, id);
	int error = file_unlink(AT_FDCWD, path);
	return error == -ENOENT && elsewhere(path, queue, id)
	    ? file_unlink(AT_FDCWD, path)
	    : error;
}

int queue_check(const struct stat *status, uid_t owner)
{
	if (!S_ISREG(status->st_mode) || (owner != (uid_t)-1 && status->st_uid != owner))
		return -EPERM;
	/* Somebody else's name for our file would keep it alive, or be it. */
	if (status->st_nlink > 2 ||
	    (status->st_nlink == 2 &&
		clock_wall_seconds() - status->st_ctim.tv_sec > LINK_GRACE))
		return -EPERM;
	return 0;
}

/* Closes it when it is not what it should be. */
static int checked(int fd, uid_t owner)
{
	struct stat status;
	if (fd < 0)
		return fd;
	int error = fstat(fd, &status) < 0 ? -errno : queue_check(&status, owner);
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

/* O_NONBLOCK: a FIFO put there must not hold us up. O_NOATIME: to read new mail would
 * change its inode once more, for a time that nobody looks at; only the owner and root
 * may ask for it. */
static int open_quietly(const char *path, int flags)
{
	flags |= O_NONBLOCK;
	int fd = file_open_at(AT_FDCWD, path, flags | O_NOATIME, 0);
	return fd == -EPERM ? file_open_at(AT_FDCWD, path, flags, 0) : fd;
}

int queue_open_unchecked(const char *queue, struct str id, int flags)
{
	char path[QUEUE_PATH_MAX];
	queue_path(path, queue, id);
	int fd = open_quietly(path, flags);
	return fd == -ENOENT && elsewhere(path, queue, id) ? open_quietly(path, flags)
							   : fd;
}

int queue_open(const char *queue, struct str id, int flags, uid_t owner)
{
	return checked(queue_open_unchecked(queue, id, flags), owner);
}

int queue_open_log(const char *queue, struct str id)
{
	char path[QUEUE_PATH_MAX];
	const int flags = O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK;
	queue_path(path, queue, id);
	int fd = file_open_at(AT_FDCWD, path, flags, 0600);
	if (fd == -ENOENT && depth_of(queue) > 0) {
		int error = make_hash_directories(queue, path);
		if (error < 0)
			return error;
		fd = file_open_at(AT_FDCWD, path, flags, 0600);
	}
	return checked(fd, (uid_t)-1);
}

struct queue_scan {
	DIR *levels[HASH_DEPTH_MAX + 1];
	int depth; /* of the directory being read; -1: at the end */
};

struct queue_scan *queue_scan_new(const char *queue)
{
	DIR *top;
	int error = file_list(AT_FDCWD, queue, &top);
	if (error < 0) {
		errno = -error;
		return NULL;
	}
	struct queue_scan *s = memory_alloc(sizeof(*s));
	s->levels[0] = top;
	return s;
}

/* Hash directories have one-character names. Those of an older depth are walked too. */
static void descend(struct queue_scan *s, const struct dirent *entry)
{
	if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
		return;
	if (s->depth >= HASH_DEPTH_MAX)
		return;
	DIR *below;
	if (file_list(dirfd(s->levels[s->depth]), entry->d_name, &below) == 0)
		s->levels[++s->depth] = below;
}

bool queue_scan_next(struct queue_scan *s, char id[QUEUE_ID_MAX])
{
	while (s->depth >= 0) {
		const struct dirent *entry;
		if (file_list_next(s->levels[s->depth], &entry) <= 0) {
			(void)closedir(s->levels[s->depth--]);
			continue;
		}
		struct str name = str_of(entry->d_name);
		if (name.len == 1) {
			descend(s, entry);
			continue;
		}
		if (entry->d_type != DT_DIR && queue_id_valid(name))
			return str_to_cstr(name, id, QUEUE_ID_MAX);
	}
	return false;
}

void queue_scan_free(struct queue_scan *s)
{
	if (s == NULL)
		return;
	for (; s->depth >= 0; s->depth--)
		(void)closedir(s->levels[s->depth]);
	free(s);
}
