#include "unit.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct CMUnitTest tests[4096];
static size_t count;

void unit_register(const char *name, void (*body)(void **state))
{
	if (count == sizeof(tests) / sizeof(tests[0]))
		abort();
	tests[count++] = (struct CMUnitTest){.name = name, .test_func = body};
}

void unit_assert_str(struct str actual, const char *expected, const char *file, int line)
{
	if (str_is(actual, expected))
		return;
	fprintf(stderr, "# got  \"%.*s\"\n# want \"%s\"\n", STR_ARG(actual), expected);
	_fail(file, line);
}

static int remove_entry(const char *path, UNUSED const struct stat *status,
    UNUSED int type, UNUSED struct FTW *walk)
{
	return remove(path);
}

static char directories[1024][64];
static size_t directory_count;
static pid_t directory_owner;

static void remove_directories(void)
{
	if (getpid() != directory_owner)
		return;
	for (size_t i = 0; i < directory_count; i++)
		(void)nftw(directories[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *unit_directory(void)
{
	if (directory_count == 0) {
		directory_owner = getpid();
		(void)atexit(remove_directories);
	}
	if (directory_count == sizeof(directories) / sizeof(directories[0]))
		abort();
	char *path = directories[directory_count++];
	/* In memory where there is such a place: a sync of a busy disk takes seconds. */
	(void)snprintf(path, sizeof(directories[0]), "%s/posthouse-unit-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(path) == NULL)
		abort();
	return path;
}

static void be_child(void (*body)(void *), void *argument, int error_fd)
{
	struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)dup2(error_fd, STDERR_FILENO);
	(void)signal(SIGABRT, SIG_DFL); /* cmocka has a handler for it */
	body(argument);
	exit(0);
}

int unit_in_child(void (*body)(void *), void *argument, struct buf *output)
{
	char chunk[1024];
	int fds[2], status = -1;
	ssize_t got;
	pid_t pid;

	(void)fflush(NULL); /* else the child would write our lines again */
	if (pipe(fds) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		(void)close(fds[0]);
		be_child(body, argument, fds[1]);
	}
	(void)close(fds[1]);
	while ((got = read(fds[0], chunk, sizeof(chunk))) > 0)
		buf_add(output, chunk, (size_t)got);
	(void)close(fds[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

/* Without an argument all tests; with one, those whose name contains it. */
int main(int argc, char **argv)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (argc < 2 || strstr(tests[i].name, argv[1]) != NULL)
			tests[kept++] = tests[i];
	count = kept;
	(void)cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("unit", tests, count, NULL, NULL);
}
