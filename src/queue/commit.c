#include "queue/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/commit_checkpoint.h"
#include "queue/commit_private.h"
#include "queue/queue_dir.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "run/worker.h"

#define SETTLE_MS    3000 /* at the end, for qmgr to settle what waits */
#define MODE_DROPPED 0744 /* maildrop: pickup, another user, must be able to read */

bool commit_engine_parse(const char *name, enum commit_engine *engine_r)
{
	bool is_log = strcmp(name, "log") == 0;
	if (!is_log && strcmp(name, "file") != 0)
		return false;
	*engine_r = is_log ? COMMIT_LOG : COMMIT_FILE;
	return true;
}

static int open_log(struct commit *c, int64_t segment_size)
{
	c->log_dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	if (c->log_dir < 0)
		return c->log_dir;
	int error = commit_slots_open(&c->slots);
	c->group = commit_group_new(c->log_dir, segment_size, c->slots);
	return error == -EOPNOTSUPP ? 0 : error;
}

int commit_open(const struct commit_options *o, struct commit **c_r)
{
	bool drop = o->kind == COMMIT_MAILDROP;
	const char *queue = drop ? QUEUE_MAILDROP : QUEUE_INCOMING;
	int dir = file_open_at(AT_FDCWD, queue, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	struct commit *c = memory_alloc(sizeof(*c));
	*c = (struct commit){.queue = queue,
	    .dir = dir,
	    .mode = drop ? MODE_DROPPED : QUEUE_MODE_READY,
	    .long_ids = o->long_ids,
	    .ordered = file_system_is_ordered(dir),
	    .log_dir = -1};
	int error = drop ? 0 : commit_pool_open(&c->pool);
	if (error == 0 && !drop && o->engine == COMMIT_LOG)
		error = open_log(c, o->segment_size);
	if (error < 0)
		commit_close(c);
	else
		*c_r = c;
	return error;
}

void commit_prepare(struct commit *c)
{
	if (c->group != NULL)
		commit_group_prepare(c->group);
}

void commit_close(struct commit *c)
{
	if (c == NULL)
		return;
	commit_group_free(c->group);
	commit_slots_close(c->slots);
	commit_pool_close(c->pool);
	file_close(&c->log_dir);
	file_close(&c->dir);
	free(c);
}

bool commit_retire(struct commit *c)
{
	if (c->leave_at == 0)
		c->leave_at = deadline_after_ms(SETTLE_MS);
	bool owes = c->slots != NULL && commit_slots_owe(c->slots, INT64_MAX);
	c->leaves = owes && clock_ms() >= c->leave_at;
	if (owes && !c->leaves)
		return false;
	if (c->group != NULL && !commit_group_retire(c->group, c->leaves))
		return false;
	if (c->slots != NULL)
		commit_slots_retire(c->slots);
	return true;
}

bool commit_waits(const struct commit *c)
{
	return c->slots != NULL && !c->leaves && commit_slots_waiting(c->slots);
}

void commit_late(struct commit *c,
    void (*each)(void *context, const struct commit_message *m), void *context)
{
	if (c->slots != NULL && !c->leaves)
		commit_slots_late(c->slots, each, context);
}

int commit_trouble(struct commit *c)
{
	return c->group != NULL ? commit_group_trouble(c->group) : 0;
}

const char *commit_id(const struct commit_slot *slot)
{
	return slot->id;
}

struct timeval commit_time(const struct commit_slot *slot)
{
	return slot->when;
}

static void trouble(struct commit_slot *slot, const char *action, int error)
{
	if (slot->error != 0 || error >= 0)
		return;
	slot->error = error;
	slot->action = action;
}

/* Says what happened where, and for a full disk how much would have been needed. */
static bool explain(const struct commit_slot *slot, struct why *why)
{
	long long needed = (long long)slot->written + (long long)slot->bytes.len;
	bool full = slot->error == -ENOSPC || slot->error == -EDQUOT;
	if (full && needed > 0)
		return why_system(why, slot->error, "%s %s/%s (%lld bytes needed)",
		    slot->action, slot->owner->queue, slot->id, needed);
	return why_system(
	    why, slot->error, "%s %s/%s", slot->action, slot->owner->queue, slot->id);
}

static void write_step(struct commit_slot *slot)
{
	if (slot->error == 0 && slot->bytes.len > 0)
		trouble(slot, "write",
		    file_write_all_at(
			slot->fd, slot->bytes.p, slot->bytes.len, slot->written));
}

static void slot_has(struct commit_slot *slot, off_t size)
{
	if (slot->error == 0 && slot->file != NULL)
		trouble(slot, "truncate", commit_slots_written(slot->file, size));
}

/* Before the first write of what gets a name without a record: after a power cut the name
 * may be there, and in place of the bytes those of the message that lay there before. */
static void start_empty(struct commit_slot *slot)
{
	if (slot->written == 0)
		slot_has(slot, 0);
}

static void write_rest(struct commit_slot *slot)
{
	off_t size = slot->written + (off_t)slot->bytes.len;
	write_step(slot);
	slot_has(slot, size);
}

static void write_bytes_job(void *job)
{
	struct commit_slot *slot = job;
	start_empty(slot);
	write_step(slot);
	if (slot->error != 0)
		return;
	slot->written += (off_t)slot->bytes.len;
	buf_clear(&slot->bytes);
}

static void write_piece_job(void *job)
{
	struct commit_slot *slot = job;
	int error = file_write_all_at(
	    slot->fd, slot->piece.p, slot->piece.len, slot->piece_offset);
	trouble(slot, "write", error);
}

static void write_piece(struct commit_slot *slot, struct str piece, off_t offset)
{
	slot->piece = piece;
	slot->piece_offset = offset;
	run_disk(NULL, write_piece_job, slot);
	slot->piece = STR_EMPTY;
}

bool commit_add(struct commit_slot *slot, struct str bytes, struct why *why)
{
	if (slot->error == 0 && bytes.len > COMMIT_MEMORY - slot->bytes.len)
		run_disk(NULL, write_bytes_job, slot);
	if (slot->error == 0 && bytes.len > COMMIT_MEMORY) {
		write_piece(slot, bytes, slot->written);
		slot->written += (off_t)bytes.len;
	} else if (slot->error == 0) {
		buf_add_str(&slot->bytes, bytes);
	}
	return slot->error == 0 || explain(slot, why);
}

struct buf *commit_bytes(struct commit_slot *slot)
{
	return &slot->bytes;
}

int64_t commit_written(const struct commit_slot *slot)
{
	return slot->written;
}

static void relieve(struct commit_slot *slot)
{
	if (slot->error == 0 && slot->bytes.len > COMMIT_MEMORY)
		run_disk(NULL, write_bytes_job, slot);
}

bool commit_relieve(struct commit_slot *slot, struct why *why)
{
	relieve(slot);
	return slot->error == 0 || explain(slot, why);
}

bool commit_patch(
    struct commit_slot *slot, size_t offset, struct str bytes, struct why *why)
{
	size_t written = (size_t)slot->written;
	ENSURE(offset <= written + slot->bytes.len &&
	    bytes.len <= written + slot->bytes.len - offset);
	if (slot->error == 0 && offset < written) {
		struct str piece = str_slice(bytes, 0, written - offset);
		write_piece(slot, piece, (off_t)offset);
		bytes = str_skip(bytes, piece.len);
		offset += piece.len;
	}
	if (slot->error == 0 && bytes.len > 0)
		memcpy(slot->bytes.p + (offset - written), bytes.p, bytes.len);
	return slot->error == 0 || explain(slot, why);
}

static int sync_name(int fd, const char *directory)
{
	if (file_system_is_ordered(fd))
		return 0;
	int error = file_sync_dir(AT_FDCWD, directory);
	/* A directory that we may not open (maildrop) is synced with all the rest. */
	return error == -EACCES ? file_sync_system(fd) : error;
}

static int sync_names(const struct commit_slot *slot)
{
	char path[QUEUE_PATH_MAX];
	if (slot->owner->ordered)
		return 0;
	memcpy(path, slot->path, sizeof(path));
	char *slash = strrchr(path, '/');
	*slash = '\0';
	return sync_name(slot->fd, path);
}

static void close_file(struct commit_slot *slot)
{
	if (slot->file != NULL) {
		commit_slots_forget(slot->owner->slots, slot->file);
		slot->file = NULL;
		slot->fd = -1;
	}
	file_close(&slot->fd);
}

static void undo(struct commit_slot *slot)
{
	(void)unlinkat(AT_FDCWD, slot->path, 0);
	if (slot->file == NULL)
		file_close(&slot->fd);
}

static void undo_job(void *job)
{
	undo(job);
}

/* The complete file gets its mode, where umask spoiled it, and its name. */
static void ready_steps(struct commit_slot *slot)
{
	const struct commit *c = slot->owner;
	const char *queue = slot->hold ? QUEUE_HOLD : c->queue;
	if (slot->error == 0 && slot->mode != c->mode)
		trouble(slot, "chmod", file_chmod(slot->fd, c->mode));
	if (slot->error != 0)
		return;
	trouble(slot, "rename", queue_take_in(slot->path, queue, str_of(slot->id)));
	if (slot->error == 0)
		queue_path(slot->path, queue, str_of(slot->id));
}

static void sync_steps(struct commit_slot *slot)
{
	if (slot->error == 0)
		trouble(slot, "fsync", file_sync(slot->fd));
	if (slot->error == 0)
		trouble(slot, "fsync directory of", sync_names(slot));
	if (slot->error != 0)
		undo(slot);
}

static void sync_job(void *job)
{
	sync_steps(job);
}

/*
 * The steps of doc/commit.md. One sync carries data, mode and name, so the file gets its
 * name before it; the lock keeps others off until it is through. A failed sync is never
 * repeated: the kernel may have dropped the pages and would report success.
 */
static void finish_job(void *job)
{
	struct commit_slot *slot = job;
	write_rest(slot);
	ready_steps(slot);
	sync_steps(slot);
}

/* From now on it is found by its place alone. */
static void accepted(struct commit_slot *slot, struct timeval arrival)
{
	commit_slots_accepted(slot->owner->slots, slot->file, arrival);
	slot->file = NULL;
	slot->fd = -1;
}

/* All of it in memory: the page cache takes it without waiting. */
static void finish_logged(struct commit_slot *slot, struct timeval arrival)
{
	bool named = slot->file == NULL || slot->hold;
	if (named)
		start_empty(slot);
	write_rest(slot);
	if (named)
		ready_steps(slot);
	struct segment_record record = {
	    .kind = slot->hold ? SEGMENT_HELD : SEGMENT_MESSAGE,
	    .stamp = segment_now(),
	    .id = str_of(slot->id),
	    .arrival = arrival,
	    .place = named ? 0 : slot->file->message.place,
	    .bytes = buf_str(&slot->bytes),
	};
	if (!named)
		slot->file->stamp = record.stamp;
	int error =
	    slot->error == 0 ? commit_group_append(slot->owner->group, &record) : 0;
	if (error == -EAGAIN) {
		if (!named) {
			start_empty(slot);
			write_rest(slot);
			ready_steps(slot);
		}
		run_disk(NULL, sync_job, slot);
		return;
	}
	trouble(slot, "commit", error);
	if (slot->error != 0)
		run_disk(NULL, undo_job, slot);
	else if (!named)
		accepted(slot, arrival);
}

static void slot_free(struct commit_slot *slot)
{
	close_file(slot);
	buf_free(&slot->bytes);
	free(slot);
}

bool commit_finish(struct commit_slot *slot, struct timeval arrival, bool hold,
    struct commit_message *message_r, struct why *why)
{
	struct commit_message message = {.arrival = arrival};
	memcpy(message.id, slot->id, sizeof(message.id));
	uint64_t place = slot->file != NULL ? slot->file->message.place : 0;
	slot->hold = hold;
	relieve(slot);
	if (slot->owner->group != NULL && slot->written == 0)
		finish_logged(slot, arrival);
	else
		run_disk(NULL, finish_job, slot);
	bool done = slot->error == 0 || explain(slot, why);
	message.place = slot->fd < 0 ? place : 0;
	if (message_r != NULL)
		*message_r = message;
	slot_free(slot);
	return done;
}

void commit_cancel(struct commit_slot *slot)
{
	if (slot == NULL)
		return;
	/* Without the lock a file of the pool is free; what a write that failed left in a
	 * slot nobody would cut off. */
	if (slot->owner->pool == NULL || slot->written > 0 || slot->error != 0) {
		run_disk(NULL, undo_job, slot);
	} else if (slot->file != NULL) {
		commit_slots_give_back(slot->owner->slots, slot->file);
		slot->file = NULL;
		slot->fd = -1;
	}
	slot_free(slot);
}

int commit_settle(void)
{
	CLEANUP(file_close)
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT)
		return 0;
	return dir < 0 ? dir : checkpoint_make(dir, segment_now());
}

struct sync_job {
	int fd;
	const char *directory;
	int result;
};

static void sync_fd_job(void *job)
{
	struct sync_job *j = job;
	j->result = file_sync(j->fd);
}

int commit_sync_fd(int fd)
{
	struct sync_job job = {.fd = fd};
	run_disk(NULL, sync_fd_job, &job);
	return job.result;
}

static void sync_name_job(void *job)
{
	struct sync_job *j = job;
	j->result = sync_name(j->fd, j->directory);
}

int commit_sync_name(int fd_of_file, const char *directory)
{
	struct sync_job job = {.fd = fd_of_file, .directory = directory};
	run_disk(NULL, sync_name_job, &job);
	return job.result;
}
