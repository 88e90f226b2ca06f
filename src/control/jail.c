/*
 * The files that the C library reads in a jail: hosts, resolver, services, time zone. A
 * start or reload brings those in the queue directory up to date, if a row is jailed.
 * Nothing of ours needs them there but names of hosts and, after a change of the clocks'
 * rules, the time zone; without them hosts are looked up as if there were no /etc.
 */
#include "control/jail.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "conf/master_cf.h"
#include "service/command.h"
#include "service/jail_default.h"

#define PATH_ROOM     4096
#define FILE_ARENA    (4u << 20)
#define JAIL_FILE_MAX (1u << 20)
#define TEMPORARY     ".posthouse-new"

static const char *const names[] = {
    "host.conf", "hosts", "localtime", "nsswitch.conf", "resolv.conf", "services"};

static bool any_row_is_jailed(void)
{
	char path[PATH_ROOM];
	struct master_cf cf;
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_ROOM);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(FILE_ARENA);
	(void)snprintf(path, sizeof(path), "%s/master.cf", command_directory());
	if (!master_cf_read(path, arena, &cf, &error))
		return false; /* master says so */
	for (size_t i = 0; i < cf.count; i++)
		if (jail_default_is_jailed(command_conf(), &cf.rows[i]))
			return true;
	return false;
}

static bool read_file(int fd, struct buf *out)
{
	char piece[4096];
	ssize_t got = -1;
	while (fd >= 0 && (got = file_read_some(fd, piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)got);
	return got == 0 && buf_ok(out);
}

/* /etc/resolv.conf and /etc/localtime are links, as a rule. */
static bool read_real(const char *name, struct buf *out)
{
	char path[PATH_ROOM];
	(void)snprintf(path, sizeof(path), "/etc/%s", name);
	CLEANUP(file_close) int fd = file_open_following(path, O_RDONLY, 0);
	return read_file(fd, out);
}

static bool read_copy(int etc, const char *name, struct buf *out)
{
	CLEANUP(file_close) int fd = file_open_at(etc, name, O_RDONLY, 0);
	return read_file(fd, out);
}

/* The new file takes the old one's place at once: jailed processes may be reading. */
static int replace(int etc, const char *name, const struct buf *content)
{
	(void)unlinkat(etc, TEMPORARY, 0);
	CLEANUP(file_close)
	int fd = file_open_at(etc, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL, 0644);
	int error = fd < 0 ? fd : file_write_all(fd, content->p, content->len);
	if (error == 0)
		error = file_chmod(fd, 0644);
	return error != 0 ? error : file_rename(etc, TEMPORARY, etc, name);
}

/* -1: not there, or not root's: then it is not ours to fill. */
static int open_etc(bool make)
{
	struct stat status;
	if (make && mkdir("etc", 0755) == 0)
		(void)chmod("etc", 0755);
	int fd = file_open_at(AT_FDCWD, "etc", O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_uid != 0))
		file_close(&fd);
	return fd;
}

void jail_fill(void)
{
	if (geteuid() != 0 || command_common()->posthouse_single_user ||
	    !any_row_is_jailed())
		return;
	CLEANUP(file_close) int etc = open_etc(true);
	for (size_t i = 0; etc >= 0 && i < ARRAY_SIZE(names); i++) {
		CLEANUP(buf_free) struct buf real = BUF_INIT(JAIL_FILE_MAX);
		CLEANUP(buf_free) struct buf copy = BUF_INIT(JAIL_FILE_MAX);
		if (!read_real(names[i], &real) ||
		    (read_copy(etc, names[i], &copy) &&
			str_equal(buf_str(&real), buf_str(&copy))))
			continue;
		int error = replace(etc, names[i], &real);
		if (error != 0)
			log_warning("copy /etc/%s to %s/etc: %s", names[i],
			    command_common()->queue_directory, strerror(-error));
	}
}

void jail_check(void)
{
	const char *queue = command_common()->queue_directory;
	CLEANUP(file_close) int etc = open_etc(false);
	for (size_t i = 0; etc >= 0 && i < ARRAY_SIZE(names); i++) {
		CLEANUP(buf_free) struct buf real = BUF_INIT(JAIL_FILE_MAX);
		CLEANUP(buf_free) struct buf copy = BUF_INIT(JAIL_FILE_MAX);
		if (read_real(names[i], &real) && read_copy(etc, names[i], &copy) &&
		    !str_equal(buf_str(&real), buf_str(&copy)))
			log_warning(
			    "%s/etc/%s and /etc/%s differ", queue, names[i], names[i]);
	}
}
