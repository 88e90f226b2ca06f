/*
 * unix:passwd.byname, unix:group.byname: the system's accounts, as lines of passwd(5) and
 * group(5). The library may ask a network service, so the question goes to a thread.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "run/fiber.h"
#include "run/worker.h"
#include "table/driver.h"

#define NAME_BYTES   256
#define SCRATCH_MAX  ((size_t)1 << 20) /* a group with very many members */
#define DEADLINE_MS  100000
#define LINE_MAX_LEN ((size_t)1 << 20)

struct job {
	char name[NAME_BYTES];
	int status; /* 0 or an errno; 0 with an empty line: no such name */
	struct buf line;
	char *scratch;
};

struct accounts {
	void (*look_up)(void *job);
	struct run_pool *pool;
};

/* Calls with a scratch space that grows until the entry fits. */
static void passwd_job(void *argument)
{
	struct job *job = argument;
	struct passwd entry;
	struct passwd *found = NULL;
	size_t size = 4096;
	do {
		size *= 4;
		job->scratch = memory_resize(job->scratch, size);
		job->status = getpwnam_r(job->name, &entry, job->scratch, size, &found);
	} while (job->status == ERANGE && size < SCRATCH_MAX);
	if (found != NULL)
		buf_printf(&job->line, "%s:%s:%lu:%lu:%s:%s:%s", found->pw_name,
		    found->pw_passwd, (unsigned long)found->pw_uid,
		    (unsigned long)found->pw_gid, found->pw_gecos, found->pw_dir,
		    found->pw_shell);
}

static void group_job(void *argument)
{
	struct job *job = argument;
	struct group entry;
	struct group *found = NULL;
	size_t size = 4096;
	do {
		size *= 4;
		job->scratch = memory_resize(job->scratch, size);
		job->status = getgrnam_r(job->name, &entry, job->scratch, size, &found);
	} while (job->status == ERANGE && size < SCRATCH_MAX);
	if (found == NULL)
		return;
	buf_printf(&job->line, "%s:%s:%lu:", found->gr_name, found->gr_passwd,
	    (unsigned long)found->gr_gid);
	for (char **member = found->gr_mem; *member != NULL; member++)
		buf_printf(
		    &job->line, "%s%s", member == found->gr_mem ? "" : ",", *member);
}

static void free_job(void *argument)
{
	struct job *job = argument;
	buf_free(&job->line);
	free(job->scratch);
	free(job);
}

static void *open_unix(struct str name, UNUSED unsigned flags, struct buf *error)
{
	struct accounts *a = memory_alloc(sizeof(*a));
	if (str_is(name, "passwd.byname"))
		a->look_up = passwd_job;
	else if (str_is(name, "group.byname"))
		a->look_up = group_job;
	else {
		buf_printf(error, "unknown table: unix:%.*s", STR_ARG(name));
		free(a);
		return NULL;
	}
	a->pool = run_pool_new("unix", 2);
	return a;
}

static void close_unix(void *state)
{
	struct accounts *a = state;
	run_pool_free(a->pool);
	free(a);
}

/* Some libraries report an absent name as an error. EBADF and EPERM, which some do too,
 * are trouble for us: mail must not be refused for good because of them. */
static bool means_absent(int status)
{
	return status == 0 || status == ENOENT || status == ESRCH;
}

static enum table_result result_of(
    const struct job *job, struct buf *value, struct buf *error)
{
	if (job->line.len > 0) {
		buf_add_str(value, buf_str(&job->line));
		return TABLE_FOUND;
	}
	if (means_absent(job->status))
		return TABLE_ABSENT;
	buf_printf(error, "cannot read the account database: %s", strerror(job->status));
	return TABLE_TRY_LATER;
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct accounts *a = state;
	struct job *job = memory_alloc(sizeof(*job));
	job->line = BUF_INIT(LINE_MAX_LEN);
	if (!str_to_cstr(key, job->name, sizeof(job->name))) {
		free_job(job);
		return TABLE_ABSENT;
	}
	if (fiber_self() == NULL)
		a->look_up(job);
	else if (run_elsewhere(a->pool, a->look_up, job, free_job,
		     clock_ms() + DEADLINE_MS) != RUN_DONE) {
		buf_add_cstr(error, "the account database does not answer");
		return TABLE_TRY_LATER;
	}
	enum table_result result = result_of(job, value, error);
	free_job(job);
	return result;
}

const struct table_driver table_driver_unix = {
    .type = "unix",
    .fixed = true,
    .open = open_unix,
    .close = close_unix,
    .lookup = lookup,
};
