/* What the commit log has to say before the first daemon starts, and after the last. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "master/master.h"
#include "queue/commit.h"

/* While the mail system runs, also before the first daemon does, nobody recovers. */
static void hold_queue(void)
{
	master.queue_lock = file_open_at(AT_FDCWD, COMMIT_LOCK, O_RDONLY, 0);
	if (master.queue_lock >= 0 &&
	    file_try_lock(master.queue_lock, FILE_LOCK_SHARED) != 0)
		fatal("another process recovers the queue");
}

static bool run(const char *option)
{
	char path[4096], first[8];
	char program[] = "recover";
	char *argv[] = {program, first, NULL};
	(void)snprintf(first, sizeof(first), "%s", option);
	(void)snprintf(path, sizeof(path), "%s/recover", master.daemons);
	log_flush();
	pid_t pid = fork();
	if (pid == 0) {
		(void)setenv("MAIL_CONFIG", master.directory, 1);
		(void)execv(path, argv);
		_exit(127);
	}
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	log_warning("%s failed", path);
	return false;
}

bool recovery_at_start(void)
{
	bool done = run("-w");
	if (done)
		hold_queue();
	return done;
}

bool recovery_after_stop(void)
{
	file_close(&master.queue_lock);
	return run("-s");
}
