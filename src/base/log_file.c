#include "base/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define OPEN_TRIES 5

bool log_file_is_moved(int fd, const char *path)
{
	struct stat ours, named;

	if (fstat(fd, &ours) != 0 || !S_ISREG(ours.st_mode))
		return false;
	if (stat(path, &named) != 0)
		return errno == ENOENT;
	return ours.st_dev != named.st_dev || ours.st_ino != named.st_ino;
}

int log_file_open(const char *path)
{
	int fd = -1;

	for (unsigned tries = 0; tries < OPEN_TRIES; tries++) {
		file_close(&fd);
		fd = file_open_following(
		    path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0600);
		if (fd < 0)
			return fd;
		/* Refused: somebody packs it, and then it was renamed; or locks it for
		 * reasons of his own, which do not keep us from writing. */
		(void)flock(fd, LOCK_SH | LOCK_NB);
		if (!log_file_is_moved(fd, path))
			break;
	}
	return fd;
}

static unsigned count_lines(struct str lines)
{
	unsigned count = 0;

	for (size_t i = 0; i < lines.len; i++)
		count += lines.p[i] == '\n';
	return count;
}

/* As many whole lines as fit; all of a line that does not fit by itself. */
static struct str next_piece(struct str lines, size_t piece)
{
	ptrdiff_t end;

	if (lines.len <= piece)
		return lines;
	end = str_find_last(str_slice(lines, 0, piece), '\n');
	if (end < 0)
		end = str_find(lines, '\n');
	return end < 0 ? lines : str_slice(lines, 0, (size_t)end + 1);
}

int log_file_write(int fd, struct str lines, size_t piece, unsigned *lost_r)
{
	while (lines.len > 0) {
		struct str next = next_piece(lines, piece);
		ssize_t done = write(fd, next.p, next.len);
		struct pollfd full = {.fd = fd, .events = POLLOUT};

		if (done >= 0) {
			lines = str_skip(lines, (size_t)done);
		} else if (errno == EAGAIN) {
			(void)poll(&full, 1, -1);
		} else if (errno != EINTR) {
			*lost_r = count_lines(lines);
			return -errno;
		}
	}
	*lost_r = 0;
	return 0;
}
