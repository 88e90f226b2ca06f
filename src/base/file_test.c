#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "unit.h"

static int directory(void)
{
	int fd = file_open_following(unit_directory(), O_RDONLY | O_DIRECTORY, 0);

	assert_true(fd >= 0);
	return fd;
}

TEST(file_writes_and_reads_whole_files)
{
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close)
	int fd = file_open_at(dir, "a", O_RDWR | O_CREAT | O_EXCL, 0600);
	CLEANUP(buf_free) struct buf all = BUF_INIT(10);
	char bytes[20];

	assert_int_equal(file_write_all(fd, "hello", 5), 0);
	assert_int_equal(file_write_all_at(fd, "J", 1, 0), 0);
	assert_int_equal(file_read_at(fd, bytes, sizeof(bytes), 1), 4);
	assert_int_equal(file_read_whole(dir, "a", &all), 0);
	assert_str(buf_str(&all), "Jello");
	assert_int_equal(file_read_whole(dir, "a", &all), 0);
	assert_str(buf_str(&all), "JelloJello");
	assert_int_equal(file_read_whole(dir, "a", &all), -EFBIG);
	assert_int_equal(file_read_whole(dir, "b", &all), -ENOENT);
	assert_int_equal(
	    file_open_at(dir, "a", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST(file_does_not_follow_links_unless_told)
{
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close) int fd = file_open_at(dir, "a", O_WRONLY | O_CREAT, 0600);
	CLEANUP(buf_free) struct buf all = BUF_INIT(10);
	struct stat status;

	assert_true(fd >= 0);
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(file_open_at(dir, "link", O_RDONLY, 0), -ELOOP);
	assert_int_equal(file_stat_at(dir, "link", &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_int_equal(file_read_whole(dir, "link", &all), 0);
	assert_int_equal(file_stat_at(dir, "none", &status), -ENOENT);
}

TEST(file_names_are_moved_linked_and_removed)
{
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close) int fd = file_open_at(dir, "a", O_WRONLY | O_CREAT, 0600);
	struct stat status;

	assert_int_equal(file_sync(fd), 0);
	assert_int_equal(file_sync_data(fd), 0);
	assert_int_equal(file_rename(dir, "a", dir, "b"), 0);
	assert_int_equal(file_link(dir, "b", dir, "c"), 0);
	assert_int_equal(file_link(dir, "b", dir, "c"), -EEXIST);
	assert_int_equal(file_unlink(dir, "b"), 0);
	assert_int_equal(file_unlink(dir, "b"), -ENOENT);
	assert_int_equal(file_sync_dir(dir, "."), 0);
	assert_int_equal(file_sync_dir(dir, "c"), -ENOTDIR);
	assert_int_equal(file_chmod(fd, 0700), 0);
	assert_int_equal(file_stat_at(dir, "c", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_true(file_system_free("/tmp") > 0);
	assert_int_equal(file_system_free("/no/such"), -ENOENT);
}

TEST(file_locks_are_seen_by_others)
{
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close) int one = file_open_at(dir, "a", O_RDWR | O_CREAT, 0600);
	CLEANUP(file_close) int two = file_open_at(dir, "a", O_RDWR, 0);

	assert_int_equal(file_try_lock(one, FILE_LOCK_SHARED), 0);
	assert_int_equal(file_try_lock(two, FILE_LOCK_SHARED), 0);
	assert_int_equal(file_try_lock(two, FILE_LOCK_EXCLUSIVE), -EWOULDBLOCK);
	file_close(&one);
	assert_int_equal(one, -1);
	assert_int_equal(file_try_lock(two, FILE_LOCK_EXCLUSIVE), 0);
}

TEST(file_descriptors_can_be_made_nonblocking)
{
	int fds[2];
	char c;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(file_set_nonblocking(fds[0], true), 0);
	assert_int_equal(file_read_some(fds[0], &c, 1), -EAGAIN);
	assert_int_equal(file_set_nonblocking(fds[0], false), 0);
	assert_int_equal(file_write_all(fds[1], "x", 1), 0);
	assert_int_equal(file_read_some(fds[0], &c, 1), 1);
	assert_int_equal(file_set_nonblocking(-1, true), -EBADF);
	file_close(&fds[0]);
	file_close(&fds[1]);
}

/* Every call, with its fault point, on files that make it work otherwise. */
static int call(int dir, int fd, unsigned number)
{
	char c;
	int opened;

	switch (number) {
	case 0:
		opened = file_open_at(dir, "x", O_RDONLY, 0);
		return opened < 0 ? opened : close(opened);
	case 1:
		return file_write_all(fd, "x", 1);
	case 2:
		return file_write_all_at(fd, "x", 1, 0);
	case 3:
		return (int)file_read_at(fd, &c, 0, 0);
	case 4:
		return file_sync(fd);
	case 5:
		return file_sync_data(fd);
	case 6:
		return file_sync_dir(dir, ".");
	case 7:
		return file_rename(dir, "x", dir, "x");
	case 8:
		(void)unlinkat(dir, "y", 0);
		return file_link(dir, "x", dir, "y");
	case 9:
		(void)!linkat(dir, "x", dir, "z", 0);
		return file_unlink(dir, "z");
	default:
		return file_chmod(fd, 0600);
	}
}

TEST(file_calls_fail_at_their_fault_points_and_only_there)
{
	static const enum fault_point points[] = {FAULT_OPEN, FAULT_WRITE, FAULT_WRITE,
	    FAULT_READ, FAULT_FSYNC, FAULT_FSYNC, FAULT_FSYNC, FAULT_RENAME, FAULT_LINK,
	    FAULT_UNLINK, FAULT_CHMOD};
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close) int fd = file_open_at(dir, "x", O_RDWR | O_CREAT, 0600);

	for (unsigned i = 0; i < ARRAY_SIZE(points); i++) {
		if (points[i] == FAULT_READ)
			continue; /* reading nothing makes no call */
		fault_set(points[i], 2, false, EIO);
		assert_int_equal(call(dir, fd, i), 0);
		assert_int_equal(call(dir, fd, i), -EIO);
		assert_int_equal(call(dir, fd, i), 0);
		fault_set(points[i], 1, false, EINTR); /* done again, unseen */
		assert_int_equal(call(dir, fd, i), 0);
		assert_int_equal(fault_count(points[i]), 2);
		fault_set(points[i], 1, true, ENOSPC);
		assert_int_equal(call(dir, fd, i), -ENOSPC);
		assert_int_equal(call(dir, fd, i), -ENOSPC);
		fault_set(points[i], 0, false, 0);
		assert_int_equal(call(dir, fd, i), 0);
	}
}

TEST(file_reads_fail_at_their_fault_point)
{
	CLEANUP(file_close) int dir = directory();
	CLEANUP(file_close) int fd = file_open_at(dir, "x", O_RDWR | O_CREAT, 0600);
	CLEANUP(buf_free) struct buf all = BUF_INIT(10);
	char c;

	assert_int_equal(file_write_all(fd, "x", 1), 0);
	fault_set(FAULT_READ, 2, false, EIO);
	assert_int_equal(file_read_at(fd, &c, 1, 0), 1);
	assert_int_equal(file_read_at(fd, &c, 1, 0), -EIO);
	fault_set(FAULT_READ, 1, false, EIO);
	assert_int_equal(file_read_some(fd, &c, 1), -EIO);
	fault_set(FAULT_READ, 2, false, EIO);
	assert_int_equal(file_read_whole(dir, "x", &all), -EIO);
	fault_set(FAULT_READ, 0, false, 0);
}
