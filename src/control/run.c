#include "control/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

static int run(const char *path, char *const *argv, bool quietly)
{
	int status = 0;
	log_flush();
	pid_t pid = fork();
	if (pid == 0) {
		int null = quietly ? open("/dev/null", O_WRONLY) : -1;
		if (!quietly || (null >= 0 && dup2(null, STDOUT_FILENO) >= 0))
			(void)execvp(path, argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int run_program(const char *path, char *const *argv)
{
	if (run(path, argv, false) == 0)
		return 0;
	log_line(LOG_LEVEL_FATAL, "%s failed", path);
	return 1;
}

int run_quietly(const char *path, char *const *argv)
{
	return run(path, argv, true);
}

int run_instead(const char *path, char *const *argv)
{
	log_flush();
	(void)execv(path, argv);
	log_line(LOG_LEVEL_FATAL, "execute %s: %s", path, strerror(errno));
	return 1;
}
