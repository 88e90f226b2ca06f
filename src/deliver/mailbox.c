#include "deliver/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "deliver/biff.h"
#include "deliver/maildir.h"
#include "deliver/message_copy.h"
#include "deliver/scribe.h"

#define PATH_ROOM 4096

/* One delivery; copied into each child by fork, so children give nothing back here. */
struct errand {
	struct delivery *delivery;
	size_t recipient;
	const struct mailbox_target *target;
	struct as_user maker; /* who makes the file and its lock */
	bool locked;          /* by name */
};

static bool is_maildir(const char *path)
{
	size_t len = strlen(path);
	return len > 0 && path[len - 1] == '/';
}

static int directory_of(const char *path, char out[PATH_ROOM])
{
	ptrdiff_t slash = str_find_last(str_of(path), '/');
	if (slash < 0)
		return -EINVAL;
	size_t len = slash > 0 ? (size_t)slash : 1;
	return str_to_cstr(str_slice(str_of(path), 0, len), out, PATH_ROOM)
	    ? 0
	    : -ENAMETOOLONG;
}

/* The recipient where the world may write, else root, with the directory's group where
 * that may. A directory that is missing is found out later. */
static bool choose_maker(struct errand *e, struct why *why)
{
	const struct mailbox_target *t = e->target;
	char directory[PATH_ROOM];
	struct stat status;
	e->maker = t->owner;
	if (!t->spool || !t->owner.switch_ids)
		return true;
	int error = directory_of(t->path, directory);
	if (error != 0)
		return why_later(why, "4.3.0", "bad path: %s", strerror(-error));
	if (stat(directory, &status) != 0 || (status.st_mode & S_IWOTH))
		return true;
	e->maker.uid = 0;
	if (status.st_mode & S_IWGRP)
		e->maker.gid = status.st_gid;
	return true;
}

/* What will be the same at the next attempt. */
static bool is_final(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -ENXIO: /* a fifo that nobody reads */
		return true;
	default:
		return false;
	}
}

static bool open_failure(int error, struct why *why)
{
	if (error == -ELOOP)
		return why_never(why, "5.2.0", "file is a symbolic link");
	return (is_final(error) ? why_never : why_later)(
	    why, "5.2.0", "cannot open file: %s", strerror(-error));
}

/* What is written to must be one file that nobody else has a name for. */
static bool check_file(
    const struct mailbox_target *t, const struct stat *status, struct why *why)
{
	if (t->file && S_ISCHR(status->st_mode))
		return true;
	if (!S_ISREG(status->st_mode))
		return why_never(
		    why, "5.2.0", "destination %s is not a regular file", t->path);
	if (status->st_nlink != 1)
		return why_never(why, "5.2.0", "file has %lu hard links",
		    (unsigned long)status->st_nlink);
	if (t->strict_ownership && t->owner.switch_ids && status->st_uid != t->owner.uid)
		return why_later(
		    why, "4.2.0", "destination %s is not owned by recipient", t->path);
	return true;
}

/* Made by root, it becomes the recipient's before anything is written. */
static int create(const struct errand *e)
{
	const struct mailbox_target *t = e->target;
	char directory[PATH_ROOM];
	int error = directory_of(t->path, directory);
	if (error != 0)
		return error;
	int fd = file_open_at(AT_FDCWD, t->path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	if (e->maker.uid != t->owner.uid && fchown(fd, t->owner.uid, (gid_t)-1) != 0)
		error = -errno;
	if (error == 0)
		error = file_sync_dir(AT_FDCWD, directory);
	file_close(&fd);
	if (error != 0)
		(void)unlink(t->path);
	return error;
}

/* A lock that stays behind keeps others away only until it is stale. */
static void unlock_or_warn(const struct mailbox_target *t)
{
	int error = mailbox_unlock_name(t->path, &t->locks);
	if (error != 0)
		log_warning("remove lock file %s.lock: %s", t->path, strerror(-error));
}

static bool is_device(
    const struct mailbox_target *t, int error, const struct stat *status)
{
	return t->file && error == 0 && S_ISCHR(status->st_mode);
}

/* False: `why`. */
static bool lock_by_name(struct errand *e, struct why *why)
{
	const struct mailbox_target *t = e->target;
	e->locked = mailbox_lock_name(t->path, &t->locks, why);
	if (e->locked || !t->file || why_is_later(why))
		return e->locked;
	log_warning("%s", buf_cstr(&why->text));
	why_clear(why);
	return true;
}

/* By the maker: the lock, and the file when there is none. */
static bool prepare_file(struct errand *e, struct why *why)
{
	const struct mailbox_target *t = e->target;
	struct stat status;
	int error = file_stat_at(AT_FDCWD, t->path, &status);
	if (is_device(t, error, &status))
		return true;
	if (!lock_by_name(e, why))
		return false;
	error = file_stat_at(AT_FDCWD, t->path, &status);
	if (error == -ENOENT)
		error = create(e);
	if (error == 0 || error == -EEXIST)
		return true;
	if (e->locked)
		unlock_or_warn(t);
	return t->file ? (is_final(error) ? why_never : why_later)(why, "5.2.0",
			     "cannot create file exclusively: %s", strerror(-error))
		       : open_failure(error, why);
}

static void prepare(void *context, struct why *why, UNUSED struct buf *text)
{
	(void)prepare_file(context, why);
}

static void release(void *context, UNUSED struct why *why, UNUSED struct buf *text)
{
	const struct errand *e = context;
	unlock_or_warn(e->target);
}

static bool write_failure(int error, struct why *why)
{
	static const char format[] = "error writing message: %s";
	const char *text = strerror(-error);
	switch (error) {
	case -EFBIG:
		return why_never(why, "5.2.2", format, text);
	case -EDQUOT:
		return why_later(why, "4.2.2", format, text);
	case -ENOSPC:
		return why_later(why, "4.3.1", format, text);
	case -EBADMSG:
		return why_later(why, "4.3.0", "queue file is corrupt");
	default:
		return why_later(why, "4.2.0", format, text);
	}
}

/* The locks are held: whole and synced, or as it was before. */
static bool append(const struct errand *e, int fd, off_t size, struct why *why)
{
	const struct mailbox_target *t = e->target;
	int64_t room = t->limit > 0 ? t->limit - size : 0;
	struct message_style style = {.flags = t->copy_flags | COPY_MBOX};
	int64_t written = t->limit > 0 && room <= 0
	    ? -EFBIG
	    : message_copy(e->delivery, e->recipient, &style, fd, room);
	int error = written < 0 ? (int)written : file_sync(fd);
	if (error == 0) {
		if (t->biff > 0)
			biff_tell(t->biff, t->user, size);
		return true;
	}
	if (ftruncate(fd, size) != 0)
		return why_later(why, "4.2.0",
		    "error writing message: %s, and cannot remove what was written",
		    strerror(-error));
	return write_failure(error, why);
}

/* A mail reader may have put another file in its place while we waited for the lock. */
static bool write_locked(const struct errand *e, int fd, struct why *why)
{
	const struct mailbox_target *t = e->target;
	struct stat status, named;
	if (!mailbox_lock_file(fd, &t->locks, why))
		return false;
	if (fstat(fd, &status) != 0)
		return why_system(why, errno, "look at mailbox");
	if (!check_file(t, &status, why))
		return false;
	if (file_stat_at(AT_FDCWD, t->path, &named) != 0 ||
	    named.st_ino != status.st_ino || named.st_dev != status.st_dev)
		return why_later(
		    why, "4.2.0", "destination %s was replaced meanwhile", t->path);
	return append(e, fd, status.st_size, why);
}

static bool write_device(const struct errand *e, int fd, struct why *why)
{
	struct message_style style = {.flags = e->target->copy_flags | COPY_MBOX};
	int64_t written = message_copy(e->delivery, e->recipient, &style, fd, 0);
	return written >= 0 || write_failure((int)written, why);
}

/* With the recipient's rights, which must be enough to open the file. */
static void write_message(void *context, struct why *why, UNUSED struct buf *text)
{
	const struct errand *e = context;
	struct stat status;
	int fd =
	    file_open_at(AT_FDCWD, e->target->path, O_WRONLY | O_APPEND | O_NONBLOCK, 0);
	if (fd < 0)
		(void)open_failure(fd, why);
	else if (fstat(fd, &status) != 0)
		(void)why_system(why, errno, "look at mailbox");
	else if (is_device(e->target, 0, &status))
		(void)write_device(e, fd, why);
	else if (check_file(e->target, &status, why))
		(void)write_locked(e, fd, why);
	file_close(&fd);
}

/* All of it in one process: the maker is the recipient. */
static void deliver_alone(void *context, struct why *why, struct buf *text)
{
	struct errand *e = context;
	const struct user_files *first = e->target->first;
	if (first != NULL && user_file_find(first, text))
		return;
	if (!prepare_file(e, why))
		return;
	write_message(e, why, text);
	if (e->locked)
		unlock_or_warn(e->target);
}

static void leave_others(void *context)
{
	const struct errand *e = context;
	delivery_leave_others(e->delivery);
}

static void run_as(const struct as_user *user,
    void (*action)(void *context, struct why *whys, struct buf *text), struct errand *e,
    struct buf *text, struct why *why)
{
	as_user_run(user,
	    &(struct as_user_errand){.action = action,
		.in_child = leave_others,
		.context = e,
		.seconds = e->target->seconds,
		.whys = why,
		.count = 1,
		.text = text});
}

static void look_first(void *context, UNUSED struct why *why, struct buf *text)
{
	const struct errand *e = context;
	(void)user_file_find(e->target->first, text);
}

/* True: a file of the user's says where the mail goes, or `why` is set. */
static bool goes_elsewhere(struct errand *e, struct buf *found, struct why *why)
{
	const struct user_files *first = e->target->first;
	struct user_file file;
	if (first == NULL)
		return false;
	run_as(&e->target->owner, look_first, e, found, why);
	if (why_is_set(why))
		return true;
	return !user_file_take(buf_str(found), first, &file) || file.path.p != NULL;
}

/* The maker locks, the recipient writes, the maker takes the lock away. */
static void deliver_divided(struct errand *e, struct buf *found, struct why *why)
{
	const struct mailbox_target *t = e->target;
	struct why trouble;
	if (goes_elsewhere(e, found, why))
		return;
	run_as(&e->maker, prepare, e, NULL, why);
	if (why_is_set(why))
		return;
	run_as(&t->owner, write_message, e, NULL, why);
	if (!(t->locks.styles & MAILBOX_LOCK_DOTLOCK))
		return;
	why_init(&trouble);
	run_as(&e->maker, release, e, NULL, &trouble);
	if (why_is_set(&trouble))
		log_warning(
		    "remove lock file %s.lock: %s", t->path, buf_cstr(&trouble.text));
	why_free(&trouble);
}

static void report(
    const struct mailbox_target *t, const struct why *inner, struct why *why)
{
	bool (*put)(struct why *, const char *, const char *, ...) =
	    why_is_later(inner) ? why_later : why_never;
	const char *text = buf_cstr(&inner->text);
	if (t->file)
		(void)put(why, inner->status, "cannot append message to file %s: %s",
		    t->path, text);
	else if (t->user != NULL)
		(void)put(why, inner->status, "cannot update mailbox %s for user %s. %s",
		    t->path, t->user, text);
	else if (strcmp(inner->status, "5.2.0") == 0) /* the administrator's mistake */
		(void)why_later(
		    why, "4.2.0", "delivery failed to mailbox %s: %s", t->path, text);
	else
		(void)put(why, inner->status, "delivery failed to mailbox %s: %s",
		    t->path, text);
}

static void deliver_file(struct delivery *d, struct mailbox_job *job)
{
	const struct mailbox_target *t = &job->target;
	struct errand e = {.delivery = d, .recipient = job->recipient, .target = t};
	struct why inner;
	why_init(&inner);
	if (choose_maker(&e, &inner)) {
		if (e.maker.uid == t->owner.uid)
			run_as(&t->owner, deliver_alone, &e, job->found, &inner);
		else
			deliver_divided(&e, job->found, &inner);
	}
	if (why_is_set(&inner))
		report(t, &inner, &job->why);
	why_free(&inner);
}

/* Maildirs of one owner. */
struct group {
	struct delivery *delivery;
	struct maildir_job *jobs;
	struct why *whys;
	size_t count;
	const struct user_files *first; /* then there is one job */
};

static void maildir_errand(void *context, struct why *whys, struct buf *text)
{
	struct group *g = context;
	if (g->first != NULL && user_file_find(g->first, text))
		return;
	maildir_deliver(g->jobs, whys, g->count);
}

static void leave_other_groups(void *context)
{
	const struct group *g = context;
	delivery_leave_others(g->delivery);
}

static bool has_same_owner(const struct as_user *a, const struct as_user *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->switch_ids == b->switch_ids;
}

static size_t group_limit(const struct delivery *d)
{
	int64_t size = d->request.size > 0 ? d->request.size : 1;
	int64_t most = MAILDIR_GROUP_BYTES / size;
	return most < 1 ? 1 : most < MAILDIR_GROUP ? (size_t)most : MAILDIR_GROUP;
}

/* The run of maildirs that `jobs` begins with. Result: how many of them. */
static size_t deliver_group(struct delivery *d, struct mailbox_job *jobs, size_t count)
{
	const struct mailbox_target *first = &jobs[0].target;
	size_t limit = first->first != NULL ? 1 : group_limit(d);
	size_t room = count < limit ? count : limit;
	struct group g = {.delivery = d,
	    .jobs = memory_alloc_array(room, sizeof(*g.jobs)),
	    .whys = memory_alloc_array(room, sizeof(*g.whys)),
	    .first = first->first};
	while (g.count < room) {
		const struct mailbox_target *t = &jobs[g.count].target;
		if (!is_maildir(t->path) || !has_same_owner(&t->owner, &first->owner))
			break;
		g.jobs[g.count] = (struct maildir_job){.delivery = d,
		    .recipient = jobs[g.count].recipient,
		    .target = {.directory = t->path,
			.hostname = t->hostname,
			.copy_flags = t->copy_flags,
			.limit = t->limit}};
		why_init(&g.whys[g.count++]);
	}
	const struct scribe_jobs jobs_of_group = {
	    g.jobs, g.whys, g.count, g.first, jobs[0].found};
	if (!scribe_deliver(&first->owner, d, &jobs_of_group, first->seconds))
		as_user_run(&first->owner,
		    &(struct as_user_errand){.action = maildir_errand,
			.in_child = leave_other_groups,
			.context = &g,
			.seconds = first->seconds,
			.whys = g.whys,
			.count = g.count,
			.text = jobs[0].found});
	for (size_t i = 0; i < g.count; i++) {
		why_copy(&jobs[i].why, &g.whys[i]);
		why_free(&g.whys[i]);
	}
	free(g.jobs);
	free(g.whys);
	return g.count;
}

static bool is_probe(const struct delivery *d)
{
	return (d->request.flags & DELIVERY_VERIFY) != 0;
}

void mailbox_deliver(struct delivery *d, struct mailbox_job *jobs, size_t count)
{
	size_t at = 0;
	while (at < count && !is_probe(d)) {
		if (is_maildir(jobs[at].target.path)) {
			at += deliver_group(d, &jobs[at], count - at);
		} else {
			deliver_file(d, &jobs[at]);
			at++;
		}
	}
}

const char *mailbox_limit_fault(int64_t limit, int64_t message_limit)
{
	if (limit <= 0)
		return NULL;
	if (message_limit <= 0)
		return "is limited but message_size_limit is unlimited";
	return limit < message_limit ? "is smaller than message_size_limit" : NULL;
}

const char *mailbox_text(const struct delivery *d, const struct mailbox_target *target)
{
	bool maildir = is_maildir(target->path);
	if (is_probe(d))
		return maildir     ? "delivers to maildir"
		    : target->file ? "delivers to file: "
				   : "delivers to mailbox";
	if (target->file && !maildir)
		return "delivered to file: ";
	return maildir ? "delivered to maildir" : "delivered to mailbox";
}
