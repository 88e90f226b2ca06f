/* What the commit log has to say before the first daemon starts, and after the last. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "master/master.h"

bool recovery_run(bool finish)
{
	char path[4096];
	char program[] = "recover", after_stop[] = "-f", at_start[] = "-w";
	char *argv[] = {program, finish ? after_stop : at_start, NULL};
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
