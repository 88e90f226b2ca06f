/* What `postfix check` looks at beside the queue: rows, parameters, the jail's files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "conf/master_cf.h"
#include "control/control.h"
#include "control/run.h"

#define PATH_ROOM    4096
#define FILE_ARENA   (4u << 20)
#define COMPARED_MAX (1u << 20)

/* Files that a jailed process reads in the queue directory, if they are there. */
static const char *const jail_files[] = {"etc/localtime", "etc/services",
    "etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf", "etc/host.conf"};

static bool rows_are_good(void)
{
	char path[PATH_ROOM], program[PATH_ROOM];
	struct stat status;
	struct master_cf cf;
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_ROOM);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(FILE_ARENA);
	(void)snprintf(path, sizeof(path), "%s/master.cf", command_directory());
	if (!master_cf_read(path, arena, &cf, &error)) {
		log_error("%s", buf_cstr(&error));
		return false;
	}
	for (size_t i = 0; i < cf.count; i++) {
		(void)snprintf(program, sizeof(program), "%s/%s",
		    program_daemon_directory(command_common()), cf.rows[i].command);
		if (stat(program, &status) != 0)
			log_warning("%s: line %u: service %s: no program %s", path,
			    cf.rows[i].line, cf.rows[i].name, program);
	}
	return true;
}

/* postconf knows, and says on standard error, which names in main.cf mean nothing. */
static void check_parameters(void)
{
	char path[PATH_ROOM];
	char *argv[] = {memory_copy_cstr("postconf"), memory_copy_cstr("-c"),
	    memory_copy_cstr(command_directory()), memory_copy_cstr("-n"), NULL};
	(void)snprintf(path, sizeof(path), "%s/postconf",
	    program_command_directory(command_common()));
	(void)run_quietly(path, argv);
}

static bool read_following(const char *path, struct buf *out)
{
	CLEANUP(file_close) int fd = file_open_following(path, O_RDONLY, 0);
	char piece[4096];
	ssize_t got = -1;
	while (fd >= 0 && (got = file_read_some(fd, piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)got);
	return got == 0 && buf_ok(out);
}

/* An old copy makes a jailed process believe old things. */
static void check_jail_file(const char *name)
{
	char outside[PATH_ROOM], inside[PATH_ROOM];
	CLEANUP(buf_free) struct buf a = BUF_INIT(COMPARED_MAX);
	CLEANUP(buf_free) struct buf b = BUF_INIT(COMPARED_MAX);
	(void)snprintf(outside, sizeof(outside), "/%s", name);
	(void)snprintf(
	    inside, sizeof(inside), "%s/%s", command_common()->queue_directory, name);
	if (!read_following(outside, &a) || !read_following(inside, &b))
		return;
	if (!str_equal(buf_str(&a), buf_str(&b)))
		log_warning("%s and %s differ", inside, outside);
}

int control_check(void)
{
	bool good = control_queue_layout();
	good = rows_are_good() && good;
	check_parameters();
	for (size_t i = 0; i < ARRAY_SIZE(jail_files); i++)
		check_jail_file(jail_files[i]);
	return good ? 0 : 1;
}
