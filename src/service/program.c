/* Where our programs lie (declared in service/command.h). */
#include "service/command.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"

#define STAMP "posthouse.stamp"

static struct {
	char *own, *daemons, *commands;
} found;

const char *program_own_directory(void)
{
	if (found.own != NULL)
		return found.own;
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len <= 0)
		return NULL;
	path[len] = '\0';
	char *slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return NULL;
	*slash = '\0';
	found.own = memory_copy_cstr(path);
	return found.own;
}

static bool exists(const char *directory, const char *name)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	buf_printf(&path, "%s/%s", directory, name);
	return buf_ok(&path) && access(buf_cstr(&path), X_OK) == 0;
}

static bool has_stamp(const char *directory)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	struct stat status;
	buf_printf(&path, "%s/" STAMP, directory);
	return buf_ok(&path) && stat(buf_cstr(&path), &status) == 0;
}

/*
 * The directory `wanted` (bin or libexec) of the tree that the running program was built
 * in, when it lies in that or in `other` beside it and `probe` is there; or NULL.
 */
static char *beside(const char *wanted, const char *other, const char *probe)
{
	const char *own = program_own_directory();
	if (own == NULL)
		return NULL;
	struct str base = str_of(own), parent;
	ptrdiff_t slash = str_find_last(base, '/');
	parent = str_slice(base, 0, (size_t)slash);
	base = str_skip(base, (size_t)slash + 1);
	if (!str_is(base, wanted) && !str_is(base, other))
		return NULL;
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	buf_add_str(&path, parent);
	buf_add_char(&path, '/');
	buf_add_cstr(&path, wanted);
	if (!buf_ok(&path) || !exists(buf_cstr(&path), probe))
		return NULL;
	return memory_copy_cstr(buf_cstr(&path));
}

static char *configured(const char *name, const char *directory)
{
	const struct param *p = param_find(str_of(name));
	ENSURE(p != NULL && p->initial != NULL);
	if (has_stamp(directory) || str_is(str_of(directory), p->initial))
		return memory_copy_cstr(directory);
	log_warning("%s = %s does not hold programs of ours (no file " STAMP
		    " there): %s is used",
	    name, directory, p->initial);
	return memory_copy_cstr(p->initial);
}

const char *program_daemon_directory(const struct common_params *common)
{
	if (found.daemons == NULL)
		found.daemons = beside("libexec", "bin", "master");
	if (found.daemons == NULL)
		found.daemons = configured("daemon_directory", common->daemon_directory);
	return found.daemons;
}

const char *program_command_directory(const struct common_params *common)
{
	if (found.commands == NULL)
		found.commands = beside("bin", "libexec", "postfix");
	if (found.commands == NULL)
		found.commands =
		    configured("command_directory", common->command_directory);
	return found.commands;
}
