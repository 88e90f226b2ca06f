/*
 * postfix logrotate: the log file gets a new name, all processes go over to a new file
 * (master hands it to them), and the old one is packed when the last of them has left it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/control.h"
#include "control/run.h"
#include "postfix_params.h"
#include "service/log_setup.h"

#define PATH_ROOM     4096
#define WORDS_MAX     20
#define LEAVE_MS      10000
#define LOOK_EVERY_US 20000

static bool new_name(const char *old, const char *format, char out[PATH_ROOM])
{
	char suffix[200];
	time_t now = clock_wall_seconds();
	struct tm tm;
	if (localtime_r(&now, &tm) == NULL ||
	    strftime(suffix, sizeof(suffix), format, &tm) == 0 ||
	    strchr(suffix, '/') != NULL) {
		log_line(LOG_LEVEL_FATAL, "bad maillog_file_rotate_suffix: %s", format);
		return false;
	}
	return snprintf(out, PATH_ROOM, "%s.%s", old, suffix) < PATH_ROOM;
}

/* Every writer holds a shared lock on the file that it writes to (base/log_file.h). */
static bool wait_until_left(int fd)
{
	int64_t deadline = deadline_after_ms(LEAVE_MS);
	while (file_try_lock(fd, FILE_LOCK_EXCLUSIVE) == -EWOULDBLOCK) {
		if (deadline_left_ms(deadline) == 0)
			return false;
		(void)usleep(LOOK_EVERY_US);
	}
	return true;
}

static int compress(const char *path, const char *command)
{
	char *words = memory_copy_cstr(command);
	char *argv[WORDS_MAX + 2] = {NULL};
	struct str rest = str_of(words), word;
	size_t count = 0;
	while (count < WORDS_MAX && str_next(&rest, " \t\r\n", &word)) {
		argv[count] = memory_alloc(word.len + 1);
		memcpy(argv[count++], word.p, word.len);
	}
	free(words);
	argv[count] = memory_copy_cstr(path);
	if (count > 0 && run_quietly(argv[0], argv) == 0)
		return 0;
	log_line(
	    LOG_LEVEL_FATAL, "%s: maillog_file_compressor failed: %s", path, command);
	return 1;
}

static int rotate(const char *path, const struct postfix_params *params)
{
	char old[PATH_ROOM];
	if (!new_name(path, params->maillog_file_rotate_suffix, old))
		return 1;
	if (access(old, F_OK) == 0) {
		log_line(LOG_LEVEL_FATAL, "rotate log: %s exists already", old);
		return 1;
	}
	if (rename(path, old) != 0) {
		log_line(
		    LOG_LEVEL_FATAL, "rename %s to %s: %s", path, old, strerror(errno));
		return 1;
	}
	CLEANUP(file_close) int fd = file_open_following(old, O_RDONLY, 0);
	int error = log_setup_reopen(command_common()); /* our own, too */
	pid_t master = control_master_pid();
	if (error == 0 && master != 0 && kill(master, SIGUSR2) != 0)
		error = -errno;
	if (fd < 0 || error != 0 || !wait_until_left(fd)) {
		log_line(
		    LOG_LEVEL_FATAL, "%s is still written to and stays as it is", old);
		return 1;
	}
	file_close(&fd);
	return compress(old, params->maillog_file_compressor);
}

int control_logrotate(void)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_ROOM);
	const char *path = command_common()->maillog_file;
	struct postfix_params params;
	if (path[0] == '\0' || str_is(str_of(path), "/dev/stdout")) {
		log_line(LOG_LEVEL_FATAL,
		    "maillog_file is not a file: there is nothing to rotate");
		return 1;
	}
	if (!conf_fill(command_conf(), postfix_param_table, &params, &error)) {
		log_line(LOG_LEVEL_FATAL, "%s", buf_cstr(&error));
		return 1;
	}
	return rotate(path, &params);
}
