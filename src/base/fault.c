#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/panic.h"
#include "base/str.h"

struct point {
	atomic_uint count;
	unsigned n; /* 0: never */
	bool and_later, crash;
	int error;
};

static const char *const point_names[FAULT_POINT_COUNT] = {
    [FAULT_OPEN] = "open",
    [FAULT_READ] = "read",
    [FAULT_WRITE] = "write",
    [FAULT_FSYNC] = "fsync",
    [FAULT_RENAME] = "rename",
    [FAULT_LINK] = "link",
    [FAULT_UNLINK] = "unlink",
    [FAULT_CHMOD] = "chmod",
    [FAULT_MALLOC] = "malloc",
    [FAULT_ACCEPT] = "accept",
    [FAULT_CONNECT] = "connect",
    [FAULT_FORK] = "fork",
    [FAULT_SEND] = "send",
    [FAULT_RECEIVE] = "receive",
};

static const struct {
	const char *name;
	int error;
} errors[] = {
    {"EIO", EIO},
    {"ENOSPC", ENOSPC},
    {"EDQUOT", EDQUOT},
    {"EROFS", EROFS},
    {"ENOMEM", ENOMEM},
    {"EMFILE", EMFILE},
    {"ENFILE", ENFILE},
    {"EINTR", EINTR},
    {"EAGAIN", EAGAIN},
    {"EACCES", EACCES},
    {"EPERM", EPERM},
    {"ENOENT", ENOENT},
    {"EEXIST", EEXIST},
    {"EFBIG", EFBIG},
    {"EPIPE", EPIPE},
    {"ECONNRESET", ECONNRESET},
    {"ECONNREFUSED", ECONNREFUSED},
    {"ECONNABORTED", ECONNABORTED},
    {"ETIMEDOUT", ETIMEDOUT},
    {"ENOBUFS", ENOBUFS},
    {"EINVAL", EINVAL},
};

/* Counted by worker threads too; armed only before they start. */
static struct point points[FAULT_POINT_COUNT];
static bool armed;

static struct point *point_named(struct str name)
{
	for (size_t i = 0; i < FAULT_POINT_COUNT; i++)
		if (str_is(name, point_names[i]))
			return &points[i];
	return NULL;
}

static bool error_named(struct str name, int *error_r)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (str_is(name, errors[i].name)) {
			*error_r = errors[i].error;
			return true;
		}
	}
	return false;
}

/* point:N=ERROR, point:N+=ERROR, crash@point:N */
static bool read_plan(struct str plan)
{
	bool crash = str_starts(plan, STR("crash@"));
	struct str rest = crash ? str_skip(plan, 6) : plan;
	ptrdiff_t colon = str_find(rest, ':'), equals = str_find(rest, '=');
	struct point *p;
	struct str number;
	int error = 0;
	int64_t n;

	if (colon < 0 || (!crash && equals < colon))
		return false;
	p = point_named(str_slice(rest, 0, (size_t)colon));
	if (p == NULL)
		return false;
	if (!crash && !error_named(str_skip(rest, (size_t)equals + 1), &error))
		return false;
	number = str_slice(rest, (size_t)colon + 1, crash ? rest.len : (size_t)equals);
	p->and_later = str_ends(number, STR("+"));
	if (p->and_later)
		number.len--;
	if (!str_to_range(number, 1, UINT32_MAX, &n))
		return false;
	p->n = (unsigned)n;
	p->error = error;
	p->crash = crash;
	armed = true;
	return true;
}

void fault_init(const char *program)
{
	struct str plans = str_of(secure_getenv("POSTHOUSE_FAULT")), plan;
	const char *only = secure_getenv("POSTHOUSE_FAULT_PROGRAM");

	if (only != NULL && !str_is(str_of(program), only))
		return;
	while (str_next(&plans, ", ", &plan))
		if (!read_plan(plan))
			fatal("POSTHOUSE_FAULT: bad plan: %.*s", STR_ARG(plan));
}

int fault_hit(enum fault_point point)
{
	struct point *p = &points[point];
	unsigned count;

	if (__builtin_expect(!armed, 1))
		return 0;
	count = atomic_fetch_add_explicit(&p->count, 1, memory_order_relaxed) + 1;
	if (p->n == 0 || count < p->n || (count > p->n && !p->and_later))
		return 0;
	if (p->crash)
		(void)kill(getpid(), SIGKILL);
	return p->error;
}

void fault_set(enum fault_point point, unsigned n, bool and_later, int error)
{
	struct point *p = &points[point];

	atomic_store(&p->count, 0);
	p->n = n;
	p->and_later = and_later;
	p->crash = false;
	p->error = error;
	armed = true;
}

unsigned fault_count(enum fault_point point)
{
	return atomic_load(&points[point].count);
}
