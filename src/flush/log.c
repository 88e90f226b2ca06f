#include "flush/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"

/* A name of 255 bytes is a whole file name; a path of the queue has room for fewer. */
#define NAME_MAX_BYTES (QUEUE_PATH_MAX - sizeof(QUEUE_FLUSH "/"))

void flush_log_path(char path[QUEUE_PATH_MAX], struct str site)
{
	size_t len = strlen(QUEUE_FLUSH "/");
	memcpy(path, QUEUE_FLUSH "/", len);
	for (size_t i = 0; i < site.len && i < NAME_MAX_BYTES; i++)
		path[len++] = ascii_is_alnum(site.p[i]) ? ascii_lower(site.p[i]) : '_';
	path[len] = '\0';
}

bool flush_log_next(struct str *rest, const char *path, struct str *id_r)
{
	struct str line;
	while (str_next(rest, "\n", &line)) {
		if (queue_id_valid(line)) {
			*id_r = line;
			return true;
		}
		log_warning("bad queue id \"%.*s...\" in fast flush logfile %s",
		    STR_ARG(str_slice(line, 0, 30)), path);
	}
	return false;
}

/* Others hold it for as long as a few renames take. */
static int open_locked(const char *path, int flags)
{
	int fd = file_open_at(AT_FDCWD, path, flags | O_NONBLOCK, 0600);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			int error = -errno;
			file_close(&fd);
			return error;
		}
	return fd;
}

static bool ends_with(int fd, off_t size, struct str line)
{
	char tail[QUEUE_ID_MAX + 2];
	if (size < (off_t)line.len || line.len > sizeof(tail))
		return false;
	return file_read_at(fd, tail, line.len, size - (off_t)line.len) ==
	    (ssize_t)line.len &&
	    memcmp(tail, line.p, line.len) == 0;
}

/* The last line is looked at, so that a message with many recipients is noted once; what
 * else is there twice, the reader drops. */
int flush_log_add(const char *path, struct str id)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(QUEUE_ID_MAX + 2);
	struct stat status;
	CLEANUP(file_close) int fd = open_locked(path, O_RDWR | O_APPEND | O_CREAT);
	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	buf_add_str(&line, id);
	buf_add_char(&line, '\n');
	if (ends_with(fd, status.st_size, buf_str(&line)) ||
	    status.st_size > (off_t)FLUSH_LOG_MAX)
		return 0;
	return file_write_all(fd, line.p, line.len);
}

static int read_log(int fd, struct buf *text)
{
	off_t offset = 0;
	ssize_t len = 0;
	do {
		char *place = buf_reserve(text, 65536);
		if (place == NULL)
			return 0; /* the rest is lost: notes may be */
		len = file_read_at(fd, place, 65536, offset);
		if (len < 0)
			return (int)len;
		buf_advance(text, (size_t)len);
		offset += len;
	} while (len > 0);
	return 0;
}

int flush_log_take(
    const char *path, void (*call)(void *context, struct str id), void *context)
{
	static char seen[] = "seen";
	CLEANUP(buf_free) struct buf text = BUF_INIT(FLUSH_LOG_MAX + (1u << 20));
	CLEANUP(file_close) int fd = open_locked(path, O_RDWR);
	if (fd < 0)
		return fd;
	int error = read_log(fd, &text);
	if (error < 0 || text.len == 0)
		return error;
	struct map *ids = map_new();
	struct str rest = buf_str(&text);
	struct str id;
	while (flush_log_next(&rest, path, &id))
		if (map_set(ids, id, seen) == NULL)
			call(context, id);
	map_free(ids);
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}
