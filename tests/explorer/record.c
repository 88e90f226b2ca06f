/*
 * Preloaded into the programs of a mail system: writes down, in one order for all
 * processes, what they do to the files below EXPLORER_QUEUE, and the moments that count
 * for the world outside (a reply, a line of the log). tests/explorer/record.py reads it.
 *
 *	EXPLORER_RECORD  the file to append to
 *	EXPLORER_QUEUE   the queue directory
 *	EXPLORER_NAMES   "ordered": the file system says that it is ext4
 *	EXPLORER_DELAY   milliseconds that every sync takes
 *
 * Each call is made and written down under one lock, so the record has the order in which
 * the kernel saw them. A sync has two entries: what was there at the first is safe from
 * the second on. A call that changes files and that we do not know how to replay is
 * written down as UNKNOWN, and the reader gives up. Off_t has 64 bits here as in the
 * programs, so that the names are those of the calls they make.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define LOG_FD    700 /* out of the way of descriptors with a meaning */
#define EXPORT    __attribute__((visibility("default")))

/* The same in record.py. */
enum kind {
	PROGRAM,
	CREATE,
	WRITE,
	TRUNCATE,
	CHMOD,
	RENAME,
	LINK,
	UNLINK,
	MKDIR,
	SYNC_BEGIN,
	SYNC_END,
	REPLY,
	LOG_LINE,
	UNKNOWN,
};
enum sync { SYNC_FILE, SYNC_DATA, SYNC_SYSTEM };

struct entry {
	uint32_t kind, process, thread, mode;
	uint64_t time, inode;
	int64_t offset;
	uint32_t path_size, other_size, data_size, reserved;
};

static struct {
	pthread_mutex_t mutex;
	int fd;
	const char *queue;
	bool ordered;
	long delay;
} shim = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* The function that ours hides. */
#define REAL(name)                     \
	static __typeof__(&name) real; \
	if (real == NULL)              \
	*(void **)(&real) = dlsym(RTLD_NEXT, #name)

static ssize_t real_writev(int fd, const struct iovec *parts, int count)
{
	REAL(writev);
	return real(fd, parts, count);
}

/* --- the record --- */

static void open_record(void)
{
	const char *path = getenv("EXPLORER_RECORD");
	if (path == NULL || shim.queue == NULL)
		return;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	shim.fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD);
	(void)close(fd);
}

static void lock(void)
{
	(void)pthread_mutex_lock(&shim.mutex);
	(void)flock(shim.fd, LOCK_EX);
}

static void unlock(void)
{
	int error = errno;
	(void)flock(shim.fd, LOCK_UN);
	(void)pthread_mutex_unlock(&shim.mutex);
	errno = error;
}

static void note(struct entry e, const char *path, const char *other, struct iovec data)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	e.time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	e.process = (uint32_t)getpid();
	e.thread = (uint32_t)gettid();
	e.path_size = (uint32_t)strlen(path);
	e.other_size = (uint32_t)strlen(other);
	e.data_size = (uint32_t)data.iov_len;
	struct iovec parts[] = {{&e, sizeof(e)}, {(void *)(uintptr_t)path, e.path_size},
	    {(void *)(uintptr_t)other, e.other_size}, data};
	size_t total = sizeof(e) + e.path_size + e.other_size + e.data_size;
	if (real_writev(shim.fd, parts, 4) != (ssize_t)total)
		abort(); /* half a record would be read as something else */
}

static const struct iovec nothing;

/* A child that does not exec must not share the lock of its parent. */
static void in_child(void)
{
	if (shim.fd < 0)
		return;
	(void)close(shim.fd);
	pthread_mutex_init(&shim.mutex, NULL);
	open_record();
}

__attribute__((constructor)) static void begin(void)
{
	char program[PATH_SIZE] = "";
	const char *names = getenv("EXPLORER_NAMES"), *delay = getenv("EXPLORER_DELAY");
	shim.queue = getenv("EXPLORER_QUEUE");
	shim.ordered = names != NULL && strcmp(names, "ordered") == 0;
	shim.delay = delay != NULL ? strtol(delay, NULL, 10) : 0;
	open_record();
	if (shim.fd < 0)
		return;
	(void)pthread_atfork(NULL, NULL, in_child);
	(void)!readlink("/proc/self/exe", program, sizeof(program) - 1);
	lock();
	note((struct entry){.kind = PROGRAM}, program, "", nothing);
	unlock();
}

/* --- which file --- */

/* The path within the queue, "" for the queue itself; NULL: not our business. */
static const char *within(const char *path)
{
	static const char *const others[] = {
	    "pid/", "public/", "private/", "commit/lock"};
	size_t len = shim.queue != NULL ? strlen(shim.queue) : 0;
	if (shim.fd < 0 || len == 0 || strncmp(path, shim.queue, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len + (path[len] == '/');
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(path, others[i], strlen(others[i])) == 0)
			return NULL;
	return path;
}

static bool path_of_fd(int fd, char out[PATH_SIZE])
{
	char link[64];
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, out, PATH_SIZE - 1);
	out[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static const char *place_of_fd(int fd, char out[PATH_SIZE])
{
	int error = errno;
	const char *place = shim.fd >= 0 && path_of_fd(fd, out) ? within(out) : NULL;
	errno = error;
	return place;
}

static const char *place_at(int dir, const char *path, char out[PATH_SIZE])
{
	char base[PATH_SIZE];
	int error = errno;
	const char *place = NULL;
	if (shim.fd < 0)
		return NULL;
	if (path[0] == '/')
		(void)snprintf(out, PATH_SIZE, "%s", path);
	else if (dir == AT_FDCWD ? getcwd(base, sizeof(base)) != NULL
				 : path_of_fd(dir, base))
		(void)snprintf(out, PATH_SIZE, "%.2000s/%.2000s", base, path);
	else
		out[0] = '\0';
	place = within(out);
	errno = error;
	return place;
}

static uint64_t inode_of_fd(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static uint64_t inode_at(int dir, const char *path)
{
	struct stat status;
	return fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

static void note_fd(
    enum kind kind, int fd, int64_t offset, uint32_t mode, struct iovec data)
{
	char path[PATH_SIZE];
	const char *place = place_of_fd(fd, path);
	if (place != NULL)
		note((struct entry){.kind = kind,
			 .inode = inode_of_fd(fd),
			 .offset = offset,
			 .mode = mode},
		    place, "", data);
}

static bool is_ours(int fd)
{
	char path[PATH_SIZE];
	return place_of_fd(fd, path) != NULL;
}

/* --- names --- */

static int open_noted(int (*call)(int, const char *, int, mode_t), int dir,
    const char *path, int flags, mode_t mode)
{
	char full[PATH_SIZE];
	if (!(flags & (O_CREAT | O_TRUNC)) || place_at(dir, path, full) == NULL)
		return call(dir, path, flags, mode);
	lock();
	bool existed = inode_at(dir, path) != 0;
	int fd = call(dir, path, flags, mode);
	struct stat status;
	if (fd >= 0 && fstat(fd, &status) == 0 && (!existed || (flags & O_TRUNC)))
		note_fd(
		    existed ? TRUNCATE : CREATE, fd, 0, status.st_mode & 07777, nothing);
	unlock();
	return fd;
}

static int call_openat(int dir, const char *path, int flags, mode_t mode)
{
	REAL(openat);
	return real(dir, path, flags, mode);
}

#define MODE_ARGUMENT(flags, mode)             \
	mode_t mode = 0;                       \
	if ((flags) & (O_CREAT | O_TMPFILE)) { \
		va_list list;                  \
		va_start(list, flags);         \
		mode = va_arg(list, mode_t);   \
		va_end(list);                  \
	}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	MODE_ARGUMENT(flags, mode)
	return open_noted(call_openat, dir, path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
	MODE_ARGUMENT(flags, mode)
	return open_noted(call_openat, AT_FDCWD, path, flags, mode);
}

int __openat64_2(int dir, const char *path, int flags);
EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	return open_noted(call_openat, dir, path, flags, 0);
}

int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags)
{
	return open_noted(call_openat, AT_FDCWD, path, flags, 0);
}

/* A name that changes: what it was, and what it is from now on. */
static void note_name(
    enum kind kind, uint64_t inode, const char *from, const char *to, int result)
{
	if (result == 0)
		note((struct entry){.kind = kind, .inode = inode}, from, to, nothing);
}

EXPORT int renameat2(
    int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char old_path[PATH_SIZE], new_path[PATH_SIZE];
	REAL(renameat2);
	const char *a = place_at(from_dir, from, old_path);
	const char *b = place_at(to_dir, to, new_path);
	if (a == NULL || b == NULL)
		return real(from_dir, from, to_dir, to, flags);
	lock();
	uint64_t inode = inode_at(from_dir, from);
	int result = real(from_dir, from, to_dir, to, flags);
	note_name(flags & RENAME_EXCHANGE ? UNKNOWN : RENAME, inode, a, b, result);
	unlock();
	return result;
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

EXPORT int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char old_path[PATH_SIZE], new_path[PATH_SIZE];
	REAL(linkat);
	const char *a = place_at(from_dir, from, old_path);
	const char *b = place_at(to_dir, to, new_path);
	if (b == NULL)
		return real(from_dir, from, to_dir, to, flags);
	lock();
	int result = real(from_dir, from, to_dir, to, flags);
	note_name(a == NULL ? UNKNOWN : LINK, inode_at(to_dir, to), a == NULL ? "" : a, b,
	    result);
	unlock();
	return result;
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
	char full[PATH_SIZE];
	REAL(unlinkat);
	const char *place = place_at(dir, path, full);
	if (place == NULL)
		return real(dir, path, flags);
	lock();
	uint64_t inode = inode_at(dir, path);
	int result = real(dir, path, flags);
	note_name(flags & AT_REMOVEDIR ? UNKNOWN : UNLINK, inode, place, "", result);
	unlock();
	return result;
}

EXPORT int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	char full[PATH_SIZE];
	REAL(mkdir);
	const char *place = place_at(AT_FDCWD, path, full);
	if (place == NULL)
		return real(path, mode);
	lock();
	int result = real(path, mode);
	note_name(MKDIR, 0, place, "", result);
	unlock();
	return result;
}

/* --- bytes --- */

/* What the world hears: a reply on a connection, a line in the log. */
static void note_words(int fd, const void *bytes, size_t len)
{
	struct stat status;
	struct iovec data = {(void *)(uintptr_t)bytes, len};
	bool reply = memmem(bytes, len, ": queued as ", 12) != NULL;
	if (shim.fd < 0 || (!reply && memmem(bytes, len, "status=", 7) == NULL) ||
	    fstat(fd, &status) < 0)
		return;
	if (reply && S_ISSOCK(status.st_mode)) {
		lock();
		note((struct entry){.kind = REPLY}, "", "", data);
		unlock();
	} else if (S_ISREG(status.st_mode)) {
		lock();
		note((struct entry) { .kind = LOG_LINE }, "", "", data);
		unlock();
	}
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	REAL(pwrite);
	if (!is_ours(fd))
		return real(fd, bytes, len, offset);
	lock();
	ssize_t done = real(fd, bytes, len, offset);
	if (done > 0)
		note_fd(WRITE, fd, offset, 0,
		    (struct iovec){(void *)(uintptr_t)bytes, (size_t)done});
	unlock();
	return done;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
	REAL(write);
	note_words(fd, bytes, len);
	if (!is_ours(fd))
		return real(fd, bytes, len);
	lock();
	ssize_t done = real(fd, bytes, len);
	if (done > 0)
		note_fd(WRITE, fd, lseek(fd, 0, SEEK_CUR) - done, 0,
		    (struct iovec){(void *)(uintptr_t)bytes, (size_t)done});
	unlock();
	return done;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	for (int i = 0; i < count; i++)
		note_words(fd, parts[i].iov_base, parts[i].iov_len);
	if (is_ours(fd)) {
		lock();
		note_fd(UNKNOWN, fd, 0, 0, nothing);
		unlock();
	}
	return real_writev(fd, parts, count);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(send);
	note_words(fd, bytes, len);
	return real(fd, bytes, len, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	for (size_t i = 0; i < message->msg_iovlen; i++)
		note_words(fd, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
	return real(fd, message, flags);
}

EXPORT int ftruncate(int fd, off_t size)
{
	REAL(ftruncate);
	if (!is_ours(fd))
		return real(fd, size);
	lock();
	int result = real(fd, size);
	if (result == 0)
		note_fd(TRUNCATE, fd, size, 0, nothing);
	unlock();
	return result;
}

EXPORT int fchmod(int fd, mode_t mode)
{
	REAL(fchmod);
	if (!is_ours(fd))
		return real(fd, mode);
	lock();
	int result = real(fd, mode);
	if (result == 0)
		note_fd(CHMOD, fd, 0, mode, nothing);
	unlock();
	return result;
}

EXPORT int fallocate(int fd, int how, off_t offset, off_t len)
{
	REAL(fallocate);
	lock();
	note_fd(UNKNOWN, fd, 0, 0, nothing);
	unlock();
	return real(fd, how, offset, len);
}

/* --- syncs --- */

static int sync_noted(int (*call)(int fd), enum sync how, int fd)
{
	if (!is_ours(fd))
		return call(fd);
	lock();
	note_fd(SYNC_BEGIN, fd, 0, how, nothing);
	unlock();
	const struct timespec delay = {shim.delay / 1000, shim.delay % 1000 * 1000000};
	(void)nanosleep(&delay, NULL);
	int result = call(fd);
	lock();
	if (result == 0)
		note_fd(SYNC_END, fd, 0, how, nothing);
	unlock();
	return result;
}

EXPORT int fsync(int fd)
{
	REAL(fsync);
	return sync_noted(real, SYNC_FILE, fd);
}

EXPORT int fdatasync(int fd)
{
	REAL(fdatasync);
	return sync_noted(real, SYNC_DATA, fd);
}

EXPORT int syncfs(int fd)
{
	REAL(syncfs);
	return sync_noted(real, SYNC_SYSTEM, fd);
}

EXPORT int fstatfs(int fd, struct statfs *status)
{
	REAL(fstatfs);
	int result = real(fd, status);
	if (result == 0)
		status->f_type = shim.ordered ? EXT4_SUPER_MAGIC : NFS_SUPER_MAGIC;
	return result;
}
