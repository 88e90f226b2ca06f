/*
 * Preloaded into recover: the program is loaded once, and forks before main for each byte
 * that comes on SERVE_IN; the child is the real program, from main on. On SERVE_OUT goes
 * how it ended (the int of wait). Thousands of runs cost a third of what they cost with
 * exec.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVE_IN  198 /* the same in explorer.py */
#define SERVE_OUT 199

__attribute__((constructor)) static void serve(void)
{
	char byte;
	while (read(SERVE_IN, &byte, 1) == 1) {
		int status = -1;
		pid_t pid = fork();
		if (pid == 0) {
			(void)close(SERVE_IN);
			(void)close(SERVE_OUT);
			return;
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid ||
		    write(SERVE_OUT, &status, sizeof(status)) != sizeof(status))
			_exit(1);
	}
	_exit(0);
}
