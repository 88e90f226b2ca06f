#include "deliver/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/fault.h"
#include "base/file.h"

/* btrfs keeps a log for each file: syncing one says nothing of others. */
static bool has_one_journal(int fd)
{
	struct statfs status;
	if (fstatfs(fd, &status) < 0)
		return false;
	unsigned long magic = (unsigned long)status.f_type & 0xffffffffUL;
	return magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC;
}

/* All bytes of the file; allocation is journaled, and the device holds the data, but may
 * hold it in its cache, which the journal's next commit empties first. */
static int write_out(int fd, unsigned flags)
{
	int error = fault_hit(FAULT_FSYNC);
	if (error == 0 && sync_file_range(fd, 0, 0, flags) < 0)
		error = errno;
	return -error;
}

int settle_begin(struct settle *s, int fd, bool more)
{
	s->in_order = has_one_journal(fd);
	return s->in_order && more ? write_out(fd, SYNC_FILE_RANGE_WRITE) : 0;
}

int settle_data(const struct settle *s, int fd)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
	    SYNC_FILE_RANGE_WAIT_AFTER;
	return s->in_order ? write_out(fd, all) : file_sync(fd);
}

int settle_name(const struct settle *s, int fd, const char *directory)
{
	return s->in_order ? file_sync(fd) : file_sync_dir(AT_FDCWD, directory);
}
