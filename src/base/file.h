/*
 * File calls with fault points, EINTR handled, whole transfers, and 0 or -errno. All
 * paths are relative to a directory descriptor (AT_FDCWD is allowed) and symbolic links
 * in the last part are not followed unless the name says so. Calls block: from a fiber
 * that serves others, use run_elsewhere for writes and syncs of queue files.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/buf.h"

/* open with O_CLOEXEC | O_NOFOLLOW | flags. Descriptor or -errno. */
MUST_USE int file_open_at(int dir, const char *path, int flags, mode_t mode);
MUST_USE int file_open_following(const char *path, int flags, mode_t mode);
void file_close(int *fd); /* closes when >= 0, sets -1; for CLEANUP(file_close) int fd */

MUST_USE int file_write_all(int fd, const void *bytes, size_t len);
MUST_USE int file_write_all_at(int fd, const void *bytes, size_t len, off_t offset);
/* Bytes read (short only at the end of file) or -errno. */
MUST_USE ssize_t file_read_at(int fd, void *bytes, size_t len, off_t offset);
MUST_USE ssize_t file_read_some(int fd, void *bytes, size_t len);
/* The whole file into `out`; -EFBIG when it passes the ceiling. Follows links. */
MUST_USE int file_read_whole(int dir, const char *path, struct buf *out);

MUST_USE int file_sync(int fd);      /* fsync */
MUST_USE int file_sync_data(int fd); /* fdatasync */
MUST_USE int file_sync_dir(int dir, const char *path);
MUST_USE int file_sync_system(int fd); /* syncfs: all of the file system that fd is on */
MUST_USE int file_rename(int from_dir, const char *from, int to_dir, const char *to);
/* The same, never over an existing file: -EEXIST. */
MUST_USE int file_rename_new(int from_dir, const char *from, int to_dir, const char *to);
MUST_USE int file_link(int from_dir, const char *from, int to_dir, const char *to);
/* The first name of a file that was opened with O_TMPFILE, by way of /proc; -EEXIST. */
MUST_USE int file_link_open(int fd, int to_dir, const char *to);
MUST_USE int file_unlink(int dir, const char *path);
MUST_USE int file_make_dir(const char *path, mode_t mode); /* 0 too when it is there */
MUST_USE int file_truncate(int fd, off_t size);
MUST_USE int file_chmod(int fd, mode_t mode);
MUST_USE int file_stat_at(int dir, const char *path, struct stat *status_r);

/* The names in a directory: 0 or -errno; closedir ends it. */
MUST_USE int file_list(int dir, const char *path, DIR **list_r);
/* 1: the next name that does not begin with a dot; 0: there is none; -errno: there may be
 * more, and they cannot be read. */
MUST_USE int file_list_next(DIR *list, const struct dirent **entry_r);
/* Calls `visit` with each such name and the directory where it is, until it gives
 * something else than 0, which is given back. 0 or -errno. */
MUST_USE int file_list_each(int dir, const char *path,
    int (*visit)(void *context, int dir, const char *name), void *context);

enum file_lock { FILE_LOCK_SHARED, FILE_LOCK_EXCLUSIVE };
/* flock; 0, -EWOULDBLOCK when held elsewhere, or -errno. Never waits. */
MUST_USE int file_try_lock(int fd, enum file_lock kind);
MUST_USE int file_lock(int fd, enum file_lock kind); /* waits */
void file_unlock(int fd);

/* Bytes free to an unprivileged writer on the file system of `path`, or -errno. */
MUST_USE int64_t file_system_free(const char *path);

/* Names, sizes and the data of new files reach the disk in an order that needs no sync of
 * directories: ext4 with its journal, XFS, btrfs; and tmpfs, of which nothing is left
 * after a crash. (ext2 has ext4's magic; nobody keeps mail on it.) */
bool file_system_is_ordered(int fd);

MUST_USE int file_set_nonblocking(int fd, bool on);

#endif
