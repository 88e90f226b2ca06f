/*
 * master: opens the sockets of all services, starts their processes on demand, watches
 * over them.
 *
 * Reads from strangers: nothing; accepts no connection but those it refuses for a missing
 * program. Runs as root (or as the owner of a single-user instance), never jailed. If it
 * died, its daemons would notice, finish and end; no mail would be lost.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/signals.h"
#include "service/command.h"
#include "service/log_setup.h"

#define END_WAIT_MS 5000
#define PID_FILE    "pid/master.pid"

struct master_state master;

static struct run_timer *end_timer;

static const struct command master_command = {
    .name = "master",
    .params = master_param_table,
    .values = &master.params,
    .fatal_status = 1,
    .logs = true,
    .owns_stdout = true,
};

/* Both lock files hold the pid; the lock lasts as long as the process. */
static int lock_file(const char *path)
{
	int fd = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fd;
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	char text[40];
	int len = snprintf(text, sizeof(text), "%*lu\n", 32, (unsigned long)getpid());
	if (error == 0 && ftruncate(fd, 0) != 0)
		error = -errno;
	if (error == 0)
		error = file_write_all_at(fd, text, (size_t)len, 0);
	if (error != 0)
		file_close(&fd);
	return error != 0 ? error : fd;
}

static void take_locks(void)
{
	char path[4096];
	int fd = lock_file(PID_FILE);
	if (fd == -EWOULDBLOCK)
		fatal("the Postfix mail system is already running");
	if (fd < 0)
		fatal("lock file %s: %s", PID_FILE, strerror(-fd));
	(void)snprintf(
	    path, sizeof(path), "%s/master.lock", master.common.data_directory);
	/* As mail_owner, whose directory it is. */
	bool other = !master.owner.single_user && seteuid(master.owner.uid) == 0;
	fd = lock_file(path);
	if (other && seteuid(0) != 0)
		fatal("cannot become root again: %s", strerror(errno));
	if (fd < 0)
		fatal("lock file %s: %s", path, strerror(-fd));
}

static bool is_locked(void)
{
	int fd = file_open_at(AT_FDCWD, PID_FILE, O_RDWR, 0);
	if (fd < 0)
		return false;
	bool locked = file_try_lock(fd, FILE_LOCK_EXCLUSIVE) == -EWOULDBLOCK;
	file_close(&fd);
	return locked;
}

/* As many descriptors as the system lets us have: a process's clients need one each. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		log_warning("cannot raise the number of open files: %s", strerror(errno));
		limit.rlim_cur = before;
	}
	master.descriptors =
	    limit.rlim_cur < INT32_MAX ? (int64_t)limit.rlim_cur : INT32_MAX;
}

/* MAIL_CONFIG is set by us in any case. */
static bool is_imported(const char *variable)
{
	struct str names = str_of(master.common.import_environment), name;
	struct str own = str_slice(str_of(variable), 0, strcspn(variable, "="));
	if (str_is(own, "MAIL_CONFIG"))
		return false;
	if (master.owner.single_user)
		return true;
	while (str_next(&names, " \t\r\n,", &name))
		if (str_equal(name, own))
			return true;
	return false;
}

/* import_environment: NAME passes ours on, NAME=value sets it. The owner of a single-user
 * instance gets no rights from it, so all passes. */
static void build_environment(void)
{
	extern char **environ;
	struct str names = str_of(master.common.import_environment), name;
	size_t count = 0, most = 1000;
	master.environment = memory_alloc_array(most + 1, sizeof(char *));
	for (char **v = environ; *v != NULL && count < most; v++)
		if (is_imported(*v))
			master.environment[count++] = memory_copy_cstr(*v);
	while (count < most && str_next(&names, " \t\r\n,", &name)) {
		char *copy = memory_alloc(name.len + 1);
		memcpy(copy, name.p, name.len);
		if (str_find(name, '=') > 0)
			master.environment[count++] = copy;
		else
			free(copy);
	}
	char *config = memory_alloc(strlen(master.directory) + sizeof("MAIL_CONFIG="));
	memcpy(config, "MAIL_CONFIG=", sizeof("MAIL_CONFIG=") - 1);
	memcpy(config + sizeof("MAIL_CONFIG=") - 1, master.directory,
	    strlen(master.directory) + 1);
	if (count < most)
		master.environment[count] = config;
}

static void warn_no_effect(const char *name, bool unknown)
{
	if (!unknown)
		log_warning(
		    "%s/main.cf: accepted, no effect yet: %s", master.directory, name);
}

/* --- end --- */

static void finish(void)
{
	struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		sockets_close(r);
	run_stop();
}

static void kill_rest(UNUSED void *argument)
{
	struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		children_signal(r, SIGKILL);
}

static void terminate(int number)
{
	struct row *r;
	if (master.ending)
		return;
	log_info("terminating on signal %d", number);
	master.ending = true;
	LIST_FOREACH (r, &master.rows, struct row, link)
		children_signal(r, SIGTERM);
	if (master.children == 0) {
		finish();
		return;
	}
	end_timer = run_timer_new(kill_rest, NULL);
	run_timer_set(end_timer, deadline_after_ms(END_WAIT_MS));
}

void master_child_gone(void)
{
	if (master.ending && master.children == 0)
		finish();
}

/* --- configuration --- */

static void take_configuration(void)
{
	master.common = *command_common();
	master.directory = command_directory();
	master.daemons = program_daemon_directory(command_common());
	master.owner = owner_of(command_common());
}

static void reload(UNUSED int number)
{
	if (master.ending)
		return;
	log_info("reload -- version %s, configuration %s", master.common.mail_version,
	    master.directory);
	if (!command_reload(&master_command))
		return; /* the reason is logged; all goes on as before */
	take_configuration();
	log_setup_again(&master.common, master_command.name);
	rotation_announce();
	(void)rows_load();
}

/* --- start --- */

/* Goes into the background; the caller's process waits until we are ready, or gone. */
static int background(void)
{
	int ready[2];
	if (pipe2(ready, O_CLOEXEC) != 0)
		fatal("pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		(void)setsid();
		file_close(&ready[0]);
		return ready[1];
	}
	file_close(&ready[1]);
	char byte = 0;
	if (file_read_some(ready[0], &byte, 1) == 1)
		_exit(0);
	/* It has given up; its locks are free when it is gone. */
	(void)waitpid(pid, NULL, 0);
	_exit(1);
}

static void detach(int *ready)
{
	if (*ready < 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_flush();
	log_also_stderr(false);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		(void)dup2(null, fd);
	file_close(&null);
	if (file_write_all(*ready, "", 1) != 0)
		log_warning("nobody waited for the start");
	file_close(ready);
}

static void make_life_pipe(void)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		fatal("pipe: %s", strerror(errno));
	master.life_fd = fds[0]; /* fds[1] stays open until we end */
}

struct options {
	const char *directory;
	bool wait, keep_stdout, test_lock;
	int64_t exit_after;
};

static void parse_options(int argc, char **argv, struct options *o)
{
	int option;
	while ((option = getopt(argc, argv, "c:dDe:istvw")) != -1) {
		switch (option) {
		case 'c':
			o->directory = optarg;
			break;
		case 'e':
			if (!str_to_range(str_of(optarg), 1, INT32_MAX, &o->exit_after))
				fatal("bad value of option -e: %s", optarg);
			break;
		case 's':
		case 'i':
			o->keep_stdout = true;
			break;
		case 't':
			o->test_lock = true;
			break;
		case 'v':
			master.verbose++;
			break;
		case 'w':
			o->wait = true;
			break;
		case 'd':
		case 'D':
			break;
		default:
			fatal("usage: master [-c config_dir] [-e exit_time] [-dDistvw]");
		}
	}
}

static void end_by_time(UNUSED void *argument)
{
	terminate(SIGTERM);
}

static void begin(const struct options *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	master.cores = cores > 0 ? (unsigned)cores : 1;
	list_init(&master.rows);
	run_init();
	run_ignore_signal(SIGPIPE);
	run_on_signal(SIGTERM, terminate);
	run_on_signal(SIGINT, terminate);
	run_on_signal(SIGHUP, reload);
	make_life_pipe();
	build_environment();
	if (o->exit_after > 0)
		run_timer_set(run_timer_new(end_by_time, NULL),
		    deadline_after_seconds(o->exit_after));
	conf_each_without_effect(command_conf(), warn_no_effect);
	master.starting = true;
	if (!recovery_at_start())
		fatal("the queue cannot be recovered");
	if (!rows_load())
		fatal("%s/master.cf cannot be used", master.directory);
	master.starting = false;
	rotation_start();
	orphans_start();
	log_info("daemon started -- version %s, configuration %s",
	    master.common.mail_version, master.directory);
}

int main(int argc, char **argv)
{
	struct options o = {.directory = NULL};
	parse_options(argc, argv, &o);
	command_start(&master_command, o.directory);
	take_configuration();
	log_verbose(master.verbose);
	master.keep_stdout = o.keep_stdout;
	if (geteuid() != 0 && !master.owner.single_user)
		fatal("master must be started by root");
	(void)umask(077);
	command_enter_queue();
	if (o.test_lock)
		return is_locked() ? 1 : 0;
	int ready = o.wait ? background() : -1;
	take_locks();
	raise_descriptor_limit();
	begin(&o);
	detach(&ready);
	run_loop();
	(void)recovery_after_stop();
	log_flush();
	return 0;
}
