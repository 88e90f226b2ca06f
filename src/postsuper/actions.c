/* What is done to one message. */
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "postsuper/postsuper.h"
#include "queue/queue_file.h"

#define SEARCHES 3 /* a message may move to a queue that was searched already */

bool target_has(const struct target *t, const char *queue)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->names[i], queue) == 0)
			return true;
	return t->count == 0;
}

/* A descriptor, or why there is nothing to do. */
static int open_ready(
    const struct target *t, const char *queue, struct str id, mode_t *mode_r)
{
	struct stat status;
	int fd = queue_open(queue, id, O_RDONLY, t->owner);
	if (fd < 0)
		return fd;
	int error = fstat(fd, &status) < 0 ? -errno : 0;
	if (error == 0 && (status.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY)
		error = -ENOENT;
	if (error < 0) {
		file_close(&fd);
		return error;
	}
	*mode_r = status.st_mode & 07777;
	return fd;
}

static int is_ready(const struct target *t, const char *queue, struct str id)
{
	mode_t mode;
	CLEANUP(file_close) int fd = open_ready(t, queue, id, &mode);
	return fd < 0 ? fd : 0;
}

static int move(const struct target *t, const char *queue, const char *to, struct str id)
{
	int error = is_ready(t, queue, id);
	if (error == 0)
		error = queue_move(id, queue, to);
	if (error == 0)
		log_debug("moved %.*s from %s to %s", STR_ARG(id), queue, to);
	return error;
}

static int hold(const struct target *t, const char *queue, struct str id)
{
	return move(t, queue, QUEUE_HOLD, id);
}

static int release(const struct target *t, const char *queue, struct str id)
{
	return move(t, queue, QUEUE_DEFERRED, id);
}

/* Its logs go first: without them a message is complete, they without it are nothing. */
static int delete_message(const struct target *t, const char *queue, struct str id)
{
	static const char *const logs[] = {QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE};
	int error = is_ready(t, queue, id);
	for (size_t i = 0; error == 0 && i < ARRAY_SIZE(logs); i++) {
		int status = queue_remove(logs[i], id);
		if (status < 0 && status != -ENOENT)
			log_warning("remove %s/%.*s: %s", logs[i], STR_ARG(id),
			    strerror(-status));
	}
	return error < 0 ? error : queue_remove(queue, id);
}

/* Goes through cleanup again, by way of pickup. While somebody delivers it he would mark
 * recipients that pickup may have read already. */
static int requeue(const struct target *t, const char *queue, struct str id)
{
	mode_t mode;
	CLEANUP(file_close) int fd = open_ready(t, queue, id, &mode);
	if (fd < 0)
		return fd;
	if (file_try_lock(fd, FILE_LOCK_EXCLUSIVE) != 0) {
		log_warning("%.*s: skipped, still being delivered", STR_ARG(id));
		return -EALREADY;
	}
	if (futimens(fd, NULL) < 0) /* no time stamp in the future */
		return -errno;
	return queue_move(id, queue, QUEUE_MAILDROP);
}

static int expire(const struct target *t, const char *queue, struct str id)
{
	mode_t mode;
	CLEANUP(file_close) int fd = open_ready(t, queue, id, &mode);
	if (fd < 0)
		return fd;
	if (mode & QUEUE_MODE_EXPIRE)
		return -EALREADY;
	return file_chmod(fd, mode | QUEUE_MODE_EXPIRE);
}

static const char *const every_queue[] = {
    QUEUE_HOLD, QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, NULL};
static const char *const not_held[] = {
    QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, NULL};
static const char *const held[] = {QUEUE_HOLD, NULL};

static const struct action_kind kinds[] = {
    {'d', "removed", "Deleted", every_queue, delete_message},
    {'e', "expired", "Force-expired", every_queue, expire},
    {'h', "placed on hold", "Placed on hold", not_held, hold},
    {'H', "released from hold", "Released from hold", held, release},
    {'r', "requeued", "Requeued", every_queue, requeue},
};

const struct action_kind *action_find(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].letter == letter)
			return &kinds[i];
	return NULL;
}

static void complain(
    const struct action_kind *kind, const char *queue, struct str id, int error)
{
	if (error != 0 && error != -ENOENT && error != -EALREADY)
		log_warning("%s/%.*s is not %s: %s", queue, STR_ARG(id), kind->done,
		    error == -EPERM ? "not a regular file of mail_owner with one name"
				    : strerror(-error));
}

bool action_one(const struct action_kind *kind, const struct target *t, struct str id)
{
	for (int i = 0; i < SEARCHES; i++)
		for (const char *const *queue = kind->queues; *queue != NULL; queue++) {
			if (!target_has(t, *queue))
				continue;
			int error = kind->apply(t, *queue, id);
			complain(kind, *queue, id, error);
			if (error != -ENOENT)
				return error == 0;
		}
	return false;
}

static size_t all_of_queue(
    const struct target *t, const struct action_kind *kind, const char *queue)
{
	char id[QUEUE_ID_MAX];
	size_t done = 0;
	struct queue_scan *scan = queue_scan_new(queue);
	if (scan == NULL) {
		log_warning("open directory %s: %s", queue, strerror(errno));
		return 0;
	}
	while (queue_scan_next(scan, id)) {
		int error = kind->apply(t, queue, str_of(id));
		complain(kind, queue, str_of(id), error);
		done += error == 0;
	}
	queue_scan_free(scan);
	return done;
}

size_t action_all(const struct action_kind *kind, const struct target *t)
{
	size_t done = 0;
	for (const char *const *queue = kind->queues; *queue != NULL; queue++)
		if (target_has(t, *queue))
			done += all_of_queue(t, kind, *queue);
	return done;
}
