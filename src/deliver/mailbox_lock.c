#include "deliver/mailbox_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define PATH_ROOM 4096

static const struct {
	const char *word;
	enum mailbox_lock_style style;
} words[] = {
    {"flock", MAILBOX_LOCK_FLOCK},
    {"fcntl", MAILBOX_LOCK_FCNTL},
    {"dotlock", MAILBOX_LOCK_DOTLOCK},
};

static unsigned style_of(struct str word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_is_nocase(word, words[i].word))
			return words[i].style;
	return 0;
}

bool mailbox_lock_parse(struct str list, unsigned *styles_r)
{
	unsigned styles = 0;
	struct str word;
	while (str_next(&list, " \t\r\n,", &word)) {
		unsigned style = style_of(word);
		if (style == 0)
			return false;
		styles |= style;
	}
	if (styles == 0)
		return false;
	*styles_r = styles;
	return true;
}

static int lock_path(const char *path, char out[PATH_ROOM])
{
	int len = snprintf(out, PATH_ROOM, "%s.lock", path);
	return len < PATH_ROOM ? 0 : -ENAMETOOLONG;
}

/* The name of a lock that nobody holds any more goes, whatever it points to. */
static void remove_stale(const char *path, int64_t stale)
{
	struct stat status;
	if (file_stat_at(AT_FDCWD, path, &status) != 0 ||
	    status.st_mtim.tv_sec + stale > clock_wall_seconds())
		return;
	(void)unlink(path); /* when it cannot be removed, it is still in the way */
}

static int make_lock(const char *path, int64_t stale)
{
	char text[32];
	remove_stale(path, stale);
	int fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0444);
	if (fd < 0)
		return fd;
	/* For people who look; the lock is the name. */
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	int error = file_write_all(fd, text, (size_t)len);
	file_close(&fd);
	if (error != 0)
		(void)unlink(path);
	return error;
}

static int lock_kernel(int fd, unsigned styles)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if ((styles & MAILBOX_LOCK_FCNTL) && fcntl(fd, F_SETLK, &whole) != 0)
		return errno == EACCES ? -EAGAIN : -errno;
	return styles & MAILBOX_LOCK_FLOCK ? file_try_lock(fd, FILE_LOCK_EXCLUSIVE) : 0;
}

/* True after a nap: there is another attempt. */
static bool try_again(int error, int64_t *attempt, const struct mailbox_lock_rules *rules)
{
	if ((error != -EEXIST && error != -EAGAIN) || ++*attempt >= rules->attempts)
		return false;
	const struct timespec nap = {.tv_sec = rules->delay};
	(void)nanosleep(&nap, NULL);
	return true;
}

bool mailbox_lock_name(
    const char *path, const struct mailbox_lock_rules *rules, struct why *why)
{
	char lock[PATH_ROOM];
	int64_t attempt = 0;
	if (!(rules->styles & MAILBOX_LOCK_DOTLOCK))
		return true;
	int error = lock_path(path, lock);
	while (error == 0 && (error = make_lock(lock, rules->stale)) != 0) {
		if (!try_again(error, &attempt, rules))
			break;
		error = 0;
	}
	bool final =
	    error == -EACCES || error == -EPERM || error == -ENOENT || error == -ENOTDIR;
	return error == 0 ||
	    (final ? why_never : why_later)(why, final ? "5.2.0" : "4.2.0",
		"unable to create lock file %s.lock: %s", path, strerror(-error));
}

int mailbox_unlock_name(const char *path, const struct mailbox_lock_rules *rules)
{
	char lock[PATH_ROOM];
	if (!(rules->styles & MAILBOX_LOCK_DOTLOCK))
		return 0;
	int error = lock_path(path, lock);
	return error != 0 ? error : file_unlink(AT_FDCWD, lock);
}

bool mailbox_lock_file(int fd, const struct mailbox_lock_rules *rules, struct why *why)
{
	int64_t attempt = 0;
	int error;
	while ((error = lock_kernel(fd, rules->styles)) != 0 &&
	    try_again(error, &attempt, rules))
		continue;
	return error == 0 ||
	    why_later(why, "4.2.0", "unable to lock for exclusive access: %s",
		strerror(-error));
}
