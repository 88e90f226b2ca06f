/* The log of an instance that writes to a file: its end, and with -f what comes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "posthouse/posthouse.h"
#include "service/command.h"

#define SHOWN_BYTES         16384
#define FOLLOW_MICROSECONDS 200000

/* Copies from `offset` to the end; the new offset. Starts over when the file was cut. */
static off_t show_from(int fd, off_t offset)
{
	char bytes[8192];
	ssize_t got;
	struct stat status;
	if (fstat(fd, &status) == 0 && status.st_size < offset)
		offset = 0;
	while ((got = file_read_at(fd, bytes, sizeof(bytes), offset)) > 0) {
		if (file_write_all(STDOUT_FILENO, bytes, (size_t)got) != 0)
			fatal("write: %s", strerror(errno));
		offset += got;
	}
	if (got < 0)
		fatal("read log: %s", strerror((int)-got));
	return offset;
}

/* Begins at a line, so that no half line is shown. */
static off_t start_of_end(int fd)
{
	struct stat status;
	char bytes[SHOWN_BYTES];
	if (fstat(fd, &status) != 0 || status.st_size <= SHOWN_BYTES)
		return 0;
	off_t offset = status.st_size - SHOWN_BYTES;
	ssize_t got = file_read_at(fd, bytes, sizeof(bytes), offset);
	const char *line = got > 0 ? memchr(bytes, '\n', (size_t)got) : NULL;
	return line != NULL ? offset + (line - bytes) + 1 : offset;
}

int posthouse_log(int argc, char **argv)
{
	const char *path = command_common()->maillog_file;
	bool follow = argc == 2 && strcmp(argv[1], "-f") == 0;
	if (argc > 1 && !follow)
		fatal("usage: posthouse [-c DIR/etc] log [-f]");
	if (path[0] == '\0' || path[0] != '/')
		fatal("maillog_file is not set: this instance logs to syslog");
	CLEANUP(file_close) int fd = file_open_following(path, O_RDONLY, 0);
	if (fd < 0)
		fatal("open %s: %s", path, strerror(-fd));
	off_t offset = show_from(fd, start_of_end(fd));
	if (!follow)
		return 0;
	for (;;) {
		(void)usleep(FOLLOW_MICROSECONDS);
		offset = show_from(fd, offset);
	}
}
