#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/jail.h"
#include "control/run.h"

#define MASTER_PID_FILE   "pid/master.pid"
#define STOP_WAIT_SECONDS 30
#define PATH_ROOM         4096

static int not_running(void)
{
	log_line(LOG_LEVEL_FATAL, "the Postfix mail system is not running");
	return 1;
}

pid_t control_master_pid(void)
{
	int fd = file_open_at(AT_FDCWD, MASTER_PID_FILE, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	char text[64] = "";
	int64_t pid = 0;
	/* A master that lives holds the lock. */
	if (file_try_lock(fd, FILE_LOCK_SHARED) == -EWOULDBLOCK &&
	    file_read_at(fd, text, sizeof(text) - 1, 0) > 0 &&
	    !str_to_range(str_trim(str_of(text)), 1, INT32_MAX, &pid))
		pid = 0;
	file_close(&fd);
	return (pid_t)pid;
}

static void master_path(char path[PATH_ROOM])
{
	(void)snprintf(
	    path, PATH_ROOM, "%s/master", program_daemon_directory(command_common()));
}

static bool may_start(bool in_foreground)
{
	if (!in_foreground &&
	    str_is(str_of(command_common()->maillog_file), "/dev/stdout")) {
		log_line(LOG_LEVEL_FATAL,
		    "maillog_file = /dev/stdout needs `postfix start-fg`");
		return false;
	}
	if (control_master_pid() != 0) {
		log_line(LOG_LEVEL_FATAL, "the Postfix mail system is already running");
		return false;
	}
	if (!control_queue_layout())
		return false;
	jail_fill();
	log_info("starting the Postfix mail system");
	return true;
}

/* argv for master; the configuration directory goes along in MAIL_CONFIG too. */
#define MASTER_ARGV(option)                                                          \
	{                                                                            \
		memory_copy_cstr("master"), memory_copy_cstr("-c"),                  \
		    memory_copy_cstr(command_directory()), memory_copy_cstr(option), \
		    NULL                                                             \
	}

int control_start(void)
{
	char path[PATH_ROOM];
	if (!may_start(false))
		return 1;
	char *argv[] = MASTER_ARGV("-w");
	master_path(path);
	return run_program(path, argv);
}

int control_start_foreground(void)
{
	char path[PATH_ROOM];
	if (!may_start(true))
		return 1;
	char *argv[] = MASTER_ARGV("-s");
	master_path(path);
	return run_instead(path, argv);
}

static int wait_for_end(pid_t pid)
{
	int64_t deadline = deadline_after_seconds(STOP_WAIT_SECONDS);
	while (control_master_pid() == pid) {
		if (deadline_left_ms(deadline) == 0) {
			log_error("the Postfix mail system did not stop in %d seconds",
			    STOP_WAIT_SECONDS);
			return 1;
		}
		(void)usleep(20000);
	}
	return 0;
}

static int signal_master(int number, const char *saying, bool wait)
{
	pid_t pid = control_master_pid();
	if (pid == 0)
		return not_running();
	log_info("%s the Postfix mail system", saying);
	if (kill(pid, number) != 0) {
		log_line(
		    LOG_LEVEL_FATAL, "signal process %d: %s", (int)pid, strerror(errno));
		return 1;
	}
	return wait ? wait_for_end(pid) : 0;
}

int control_stop(void)
{
	return signal_master(SIGTERM, "stopping", true);
}

int control_abort(void)
{
	return signal_master(SIGTERM, "aborting", false);
}

int control_reload(void)
{
	if (control_master_pid() != 0 && !control_queue_layout())
		return 1;
	jail_fill();
	return signal_master(SIGHUP, "refreshing", false);
}

int control_flush(void)
{
	char path[PATH_ROOM];
	if (control_master_pid() == 0)
		return not_running();
	(void)snprintf(path, sizeof(path), "%s/postqueue",
	    program_command_directory(command_common()));
	char *argv[] = {memory_copy_cstr("postqueue"), memory_copy_cstr("-c"),
	    memory_copy_cstr(command_directory()), memory_copy_cstr("-f"), NULL};
	return run_program(path, argv);
}

int control_status(void)
{
	pid_t pid = control_master_pid();
	if (pid == 0) {
		log_info("the Postfix mail system is not running");
		return 1;
	}
	log_info("the Postfix mail system is running: PID: %d", (int)pid);
	return 0;
}
