#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fault.h"

/* Makes `call` until it is not interrupted, the fault point asked before each. */
#define WITH_FAULT(point, result, call)        \
	do {                                   \
		int fault_ = fault_hit(point); \
		if (fault_ != 0) {             \
			errno = fault_;        \
			(result) = -1;         \
		} else {                       \
			(result) = (call);     \
		}                              \
	} while ((result) < 0 && errno == EINTR)

#define OR_ERRNO(result) ((result) < 0 ? -errno : 0)

int file_open_at(int dir, const char *path, int flags, mode_t mode)
{
	int fd;

	WITH_FAULT(
	    FAULT_OPEN, fd, openat(dir, path, flags | O_CLOEXEC | O_NOFOLLOW, mode));
	return fd < 0 ? -errno : fd;
}

int file_open_following(const char *path, int flags, mode_t mode)
{
	int fd;

	WITH_FAULT(FAULT_OPEN, fd, open(path, flags | O_CLOEXEC, mode));
	return fd < 0 ? -errno : fd;
}

void file_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int file_write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t done;

	for (; len > 0; p += done, len -= (size_t)done) {
		WITH_FAULT(FAULT_WRITE, done, write(fd, p, len));
		if (done < 0)
			return -errno;
	}
	return 0;
}

int file_write_all_at(int fd, const void *bytes, size_t len, off_t offset)
{
	const char *p = bytes;
	ssize_t done;

	for (; len > 0; p += done, len -= (size_t)done, offset += done) {
		WITH_FAULT(FAULT_WRITE, done, pwrite(fd, p, len, offset));
		if (done < 0)
			return -errno;
	}
	return 0;
}

ssize_t file_read_at(int fd, void *bytes, size_t len, off_t offset)
{
	char *p = bytes;
	size_t total = 0;

	while (total < len) {
		ssize_t done;
		WITH_FAULT(FAULT_READ, done,
		    pread(fd, p + total, len - total, offset + (off_t)total));
		if (done < 0)
			return -errno;
		if (done == 0)
			break;
		total += (size_t)done;
	}
	return (ssize_t)total;
}

ssize_t file_read_some(int fd, void *bytes, size_t len)
{
	ssize_t done;

	WITH_FAULT(FAULT_READ, done, read(fd, bytes, len));
	return done < 0 ? -errno : done;
}

static int read_to_end(int fd, struct buf *out)
{
	for (;;) {
		size_t left = out->ceiling - out->len;
		size_t chunk = left < 16384 ? left : 16384;
		char extra, *room = chunk > 0 ? buf_reserve(out, chunk) : &extra;
		ssize_t done = file_read_some(fd, room, chunk > 0 ? chunk : 1);

		if (done <= 0)
			return (int)done;
		if (chunk == 0)
			return -EFBIG;
		buf_advance(out, (size_t)done);
	}
}

int file_read_whole(int dir, const char *path, struct buf *out)
{
	CLEANUP(file_close) int fd = -1;

	WITH_FAULT(FAULT_OPEN, fd, openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	return fd < 0 ? -errno : read_to_end(fd, out);
}

int file_sync(int fd)
{
	int result;

	WITH_FAULT(FAULT_FSYNC, result, fsync(fd));
	return OR_ERRNO(result);
}

int file_sync_data(int fd)
{
	int result;

	WITH_FAULT(FAULT_FSYNC, result, fdatasync(fd));
	return OR_ERRNO(result);
}

int file_sync_system(int fd)
{
	int result;

	WITH_FAULT(FAULT_FSYNC, result, syncfs(fd));
	return OR_ERRNO(result);
}

int file_sync_dir(int dir, const char *path)
{
	CLEANUP(file_close) int fd = file_open_at(dir, path, O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? fd : file_sync(fd);
}

int file_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	int result;

	WITH_FAULT(FAULT_RENAME, result, renameat(from_dir, from, to_dir, to));
	return OR_ERRNO(result);
}

int file_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
	int result;

	WITH_FAULT(FAULT_RENAME, result,
	    renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE));
	if (result == 0 || (errno != EINVAL && errno != ENOSYS))
		return OR_ERRNO(result);
	result = file_link(from_dir, from, to_dir, to);
	if (result < 0)
		return result;
	result = file_unlink(from_dir, from);
	if (result < 0)
		(void)unlinkat(to_dir, to, 0);
	return result;
}

int file_make_dir(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

int file_list(int dir, const char *path, DIR **list_r)
{
	int fd = file_open_at(dir, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	*list_r = fdopendir(fd);
	if (*list_r != NULL)
		return 0;
	int error = -errno;
	(void)close(fd);
	return error;
}

static const struct dirent *next_name(DIR *list)
{
	const struct dirent *entry;

	errno = 0;
	do
		entry = readdir(list);
	while (entry != NULL && entry->d_name[0] == '.');
	return entry;
}

int file_list_next(DIR *list, const struct dirent **entry_r)
{
	int fault = fault_hit(FAULT_READ);

	*entry_r = fault == 0 ? next_name(list) : NULL;
	if (*entry_r != NULL)
		return 1;
	return fault != 0 ? -fault : -errno;
}

int file_list_each(int dir, const char *path,
    int (*visit)(void *context, int dir, const char *name), void *context)
{
	DIR *list;
	const struct dirent *entry;
	int next, result = 0;
	int error = file_list(dir, path, &list);

	if (error < 0)
		return error;
	while (result == 0 && (next = file_list_next(list, &entry)) != 0)
		result = next < 0 ? next : visit(context, dirfd(list), entry->d_name);
	(void)closedir(list);
	return result;
}

int file_truncate(int fd, off_t size)
{
	int result;

	WITH_FAULT(FAULT_WRITE, result, ftruncate(fd, size));
	return OR_ERRNO(result);
}

int file_link(int from_dir, const char *from, int to_dir, const char *to)
{
	int result;

	WITH_FAULT(FAULT_LINK, result, linkat(from_dir, from, to_dir, to, 0));
	return OR_ERRNO(result);
}

int file_link_open(int fd, int to_dir, const char *to)
{
	char from[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
	int result;

	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	WITH_FAULT(
	    FAULT_LINK, result, linkat(AT_FDCWD, from, to_dir, to, AT_SYMLINK_FOLLOW));
	return OR_ERRNO(result);
}

int file_unlink(int dir, const char *path)
{
	int result;

	WITH_FAULT(FAULT_UNLINK, result, unlinkat(dir, path, 0));
	return OR_ERRNO(result);
}

int file_chmod(int fd, mode_t mode)
{
	int result;

	WITH_FAULT(FAULT_CHMOD, result, fchmod(fd, mode));
	return OR_ERRNO(result);
}

int file_stat_at(int dir, const char *path, struct stat *status_r)
{
	struct stat status;

	if (fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*status_r = status;
	return 0;
}

static int lock(int fd, int operation)
{
	int result;

	do {
		result = flock(fd, operation);
	} while (result < 0 && errno == EINTR);
	return OR_ERRNO(result);
}

int file_try_lock(int fd, enum file_lock kind)
{
	return lock(fd, (kind == FILE_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

int file_lock(int fd, enum file_lock kind)
{
	return lock(fd, kind == FILE_LOCK_SHARED ? LOCK_SH : LOCK_EX);
}

void file_unlock(int fd)
{
	(void)lock(fd, LOCK_UN);
}

int64_t file_system_free(const char *path)
{
	struct statvfs status;
	int64_t bytes;

	if (statvfs(path, &status) < 0)
		return -errno;
	if (__builtin_mul_overflow(status.f_bavail, status.f_frsize, &bytes))
		return INT64_MAX;
	return bytes;
}

bool file_system_is_ordered(int fd)
{
	struct statfs status;

	if (fstatfs(fd, &status) < 0)
		return false;
	unsigned long magic = (unsigned long)status.f_type & 0xffffffffUL;
	return magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC ||
	    magic == BTRFS_SUPER_MAGIC || magic == TMPFS_MAGIC;
}

int file_set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	return OR_ERRNO(
	    fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}
