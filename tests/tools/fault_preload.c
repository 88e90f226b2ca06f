/*
 * For tests: makes the n-th call of a kind fail in a running program, by LD_PRELOAD. It sees
 * every call through the C library, also those of libraries, and needs nothing in the program.
 *
 * FAULT_FOLDER names a folder with one file a program, of KIND_COUNT struct plans. A test
 * writes `n`, `error` and `action` into the mapped file while the daemons run; `count` is
 * the number of calls since, of all processes of the program, `done` whether the fault came.
 * A program without a file is left alone.
 *
 * Calls on pipes and event descriptors never fail: in reality they do not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is that of KINDS in tests/system/fault_control.py. */
enum kind {
	KIND_OPEN,
	KIND_READ,
	KIND_WRITE,
	KIND_FSYNC,
	KIND_RENAME,
	KIND_LINK,
	KIND_UNLINK,
	KIND_CHMOD,
	KIND_TRUNCATE,
	KIND_MKDIR,
	KIND_STAT,
	KIND_TIME,
	KIND_MALLOC,
	KIND_MAP,
	KIND_FORK,
	KIND_THREAD,
	KIND_SOCKET,
	KIND_CONNECT,
	KIND_ACCEPT,
	KIND_SEND,
	KIND_RECEIVE,
	KIND_COUNT,
};

enum action { FAIL_ONCE, FAIL_ON, KILL, SHORT };

struct plan {
	_Atomic uint32_t count;
	_Atomic uint32_t n; /* 0: never */
	uint32_t error, action;
	_Atomic uint32_t done;
};

static struct plan *plans;

/* Raw calls: this runs while the program may be failing. */
__attribute__((constructor)) static void start(void)
{
	const char *folder = getenv("FAULT_FOLDER");
	char path[4096];
	void *map;
	long fd;

	if (folder == NULL || strlen(folder) + strlen(program_invocation_short_name) > 4000)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", folder, program_invocation_short_name);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	map = (void *)syscall(SYS_mmap, NULL, sizeof(struct plan) * KIND_COUNT,
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
	(void)syscall(SYS_close, fd);
	if (map != MAP_FAILED)
		plans = map;
}

/* Whether this call is to fail; errno is set then. A short write is told by *short_r. */
static bool fails(enum kind kind, bool *short_r)
{
	struct plan *plan = plans == NULL ? NULL : &plans[kind];
	uint32_t n, count;

	if (plan == NULL)
		return false;
	count = atomic_fetch_add(&plan->count, 1) + 1;
	n = atomic_load(&plan->n);
	if (n == 0 || count < n || (count > n && plan->action != FAIL_ON))
		return false;
	atomic_fetch_add(&plan->done, 1);
	if (plan->action == KILL)
		(void)syscall(SYS_kill, getpid(), SIGKILL);
	if (plan->action == SHORT && short_r != NULL) {
		*short_r = true;
		return false;
	}
	errno = (int)plan->error;
	return true;
}

static bool fails_on(int fd, enum kind for_file, enum kind for_socket, bool *short_r)
{
	int before = errno;
	struct stat status;
	bool known = plans != NULL &&
	    syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) == 0;

	errno = before;
	if (known && S_ISREG(status.st_mode))
		return fails(for_file, short_r);
	if (known && S_ISSOCK(status.st_mode))
		return fails(for_socket, short_r);
	return false;
}


/* A function that fails with -1 and errno: parameters with types, then as arguments. */
#define WRAP(kind, result, name, parameters, ...)                                \
	result name parameters;                                                  \
	result name parameters                                                   \
	{                                                                        \
		static result(*next) parameters;                                 \
		if (next == NULL)                                                \
			next = (result(*) parameters)dlsym(RTLD_NEXT, #name);    \
		if (fails(kind, NULL))                                           \
			return -1;                                               \
		return next(__VA_ARGS__);                                        \
	}

/* The same for a read or write of `len` bytes at a descriptor. */
#define WRAP_BYTES(for_file, for_socket, name, parameters, ...)                  \
	ssize_t name parameters;                                                 \
	ssize_t name parameters                                                  \
	{                                                                        \
		static ssize_t(*next) parameters;                                \
		bool cut = false;                                                \
		if (next == NULL)                                                \
			next = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);   \
		if (fails_on(fd, for_file, for_socket, &cut))                    \
			return -1;                                               \
		if (cut && len > 1)                                              \
			len /= 2;                                                \
		return next(__VA_ARGS__);                                        \
	}

static mode_t mode_of(int flags, va_list list)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

#define WRAP_OPENAT(name)                                                        \
	int name(int dir, const char *path, int flags, ...)                      \
	{                                                                        \
		va_list list;                                                    \
		mode_t mode;                                                     \
		va_start(list, flags);                                           \
		mode = mode_of(flags, list);                                     \
		va_end(list);                                                    \
		if (fails(KIND_OPEN, NULL))                                      \
			return -1;                                               \
		return (int)syscall(SYS_openat, dir, path, flags, mode);         \
	}

#define WRAP_OPEN(name)                                                          \
	int name(const char *path, int flags, ...)                               \
	{                                                                        \
		va_list list;                                                    \
		mode_t mode;                                                     \
		va_start(list, flags);                                           \
		mode = mode_of(flags, list);                                     \
		va_end(list);                                                    \
		if (fails(KIND_OPEN, NULL))                                      \
			return -1;                                               \
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);    \
	}

WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP_OPEN(open)
WRAP_OPEN(open64)

WRAP_BYTES(KIND_READ, KIND_RECEIVE, read, (int fd, void *bytes, size_t len), fd, bytes, len)
WRAP_BYTES(KIND_READ, KIND_RECEIVE, pread, (int fd, void *bytes, size_t len, off_t at), fd, bytes, len, at)
WRAP_BYTES(KIND_READ, KIND_RECEIVE, pread64, (int fd, void *bytes, size_t len, off64_t at), fd, bytes, len, at)
WRAP_BYTES(KIND_WRITE, KIND_SEND, write, (int fd, const void *bytes, size_t len), fd, bytes, len)
WRAP_BYTES(KIND_WRITE, KIND_SEND, pwrite, (int fd, const void *bytes, size_t len, off_t at), fd, bytes, len, at)
WRAP_BYTES(KIND_WRITE, KIND_SEND, pwrite64, (int fd, const void *bytes, size_t len, off64_t at), fd, bytes, len, at)
WRAP_BYTES(KIND_RECEIVE, KIND_RECEIVE, recv, (int fd, void *bytes, size_t len, int flags), fd, bytes, len, flags)
WRAP_BYTES(KIND_SEND, KIND_SEND, send, (int fd, const void *bytes, size_t len, int flags), fd, bytes, len, flags)

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	bool cut = false;

	if (fails_on(fd, KIND_WRITE, KIND_SEND, &cut))
		return -1;
	return (ssize_t)syscall(SYS_writev, fd, parts, cut ? 1 : count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	bool cut = false;

	if (fails_on(fd, KIND_WRITE, KIND_SEND, &cut))
		return -1;
	return (ssize_t)syscall(SYS_pwritev, fd, parts, cut ? 1 : count, at, 0L);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
	return pwritev(fd, parts, count, at);
}

WRAP(KIND_SEND, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)
WRAP(KIND_RECEIVE, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), fd, m, flags)

WRAP(KIND_FSYNC, int, fsync, (int fd), fd)
WRAP(KIND_FSYNC, int, fdatasync, (int fd), fd)
WRAP(KIND_FSYNC, int, syncfs, (int fd), fd)
WRAP(KIND_RENAME, int, rename, (const char *from, const char *to), from, to)
WRAP(KIND_RENAME, int, renameat, (int d, const char *from, int e, const char *to), d, from, e, to)
WRAP(KIND_RENAME, int, renameat2, (int d, const char *from, int e, const char *to, unsigned flags), d, from, e, to, flags)
WRAP(KIND_LINK, int, linkat, (int d, const char *from, int e, const char *to, int flags), d, from, e, to, flags)
WRAP(KIND_UNLINK, int, unlink, (const char *path), path)
WRAP(KIND_UNLINK, int, unlinkat, (int d, const char *path, int flags), d, path, flags)
WRAP(KIND_CHMOD, int, fchmod, (int fd, mode_t mode), fd, mode)
WRAP(KIND_CHMOD, int, chmod, (const char *path, mode_t mode), path, mode)
WRAP(KIND_CHMOD, int, fchmodat, (int d, const char *path, mode_t mode, int flags), d, path, mode, flags)
WRAP(KIND_TRUNCATE, int, ftruncate, (int fd, off_t len), fd, len)
WRAP(KIND_TRUNCATE, int, ftruncate64, (int fd, off64_t len), fd, len)
WRAP(KIND_TRUNCATE, int, fallocate, (int fd, int mode, off_t at, off_t len), fd, mode, at, len)
WRAP(KIND_TRUNCATE, int, fallocate64, (int fd, int mode, off64_t at, off64_t len), fd, mode, at, len)
WRAP(KIND_MKDIR, int, mkdir, (const char *path, mode_t mode), path, mode)
WRAP(KIND_MKDIR, int, mkdirat, (int d, const char *path, mode_t mode), d, path, mode)
WRAP(KIND_STAT, int, stat64, (const char *path, struct stat64 *s), path, s)
WRAP(KIND_STAT, int, lstat64, (const char *path, struct stat64 *s), path, s)
WRAP(KIND_STAT, int, fstat64, (int fd, struct stat64 *s), fd, s)
WRAP(KIND_STAT, int, fstatat64, (int d, const char *path, struct stat64 *s, int flags), d, path, s, flags)
WRAP(KIND_TIME, int, futimens, (int fd, const struct timespec times[2]), fd, times)
WRAP(KIND_TIME, int, utimensat, (int d, const char *path, const struct timespec times[2], int flags), d, path, times, flags)
WRAP(KIND_FORK, pid_t, fork, (void))
WRAP(KIND_SOCKET, int, socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(KIND_SOCKET, int, socketpair, (int domain, int type, int protocol, int fds[2]), domain, type, protocol, fds)
WRAP(KIND_CONNECT, int, connect, (int fd, const struct sockaddr *a, socklen_t len), fd, a, len)
WRAP(KIND_ACCEPT, int, accept, (int fd, struct sockaddr *a, socklen_t *len), fd, a, len)
WRAP(KIND_ACCEPT, int, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags), fd, a, len, flags)

/* The error is the result; there is no errno. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (next == NULL)
		next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))
		    dlsym(RTLD_NEXT, "pthread_create");
	return fails(KIND_THREAD, NULL) ? EAGAIN : next(thread, attributes, run, argument);
}

static void *map_pages(void *at, size_t len, int access, int flags, int fd, off_t offset)
{
	if (fails(KIND_MAP, NULL))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, len, access, flags, fd, offset);
}

void *mmap(void *at, size_t len, int access, int flags, int fd, off_t offset)
{
	return map_pages(at, len, access, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int access, int flags, int fd, off64_t offset)
{
	return map_pages(at, len, access, flags, fd, offset);
}

/* The allocator under its own names, because dlsym itself allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	return fails(KIND_MALLOC, NULL) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(KIND_MALLOC, NULL) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(KIND_MALLOC, NULL) ? NULL : __libc_realloc(old, size);
}
