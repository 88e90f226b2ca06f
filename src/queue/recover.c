#include "queue/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/file.h"
#include "base/map.h"
#include "queue/commit_checkpoint.h"
#include "queue/commit_pool.h"
#include "queue/commit_segment.h"
#include "queue/commit_slots.h"
#include "queue/queue_dir.h"
#include "queue/queue_file.h"

#define TEMPORARY "commit/restoring"
#define KEY_MAX   (QUEUE_ID_MAX + 48)

struct recovery {
	int dir;
	int64_t checkpoint;
	struct map *over; /* messages that a note says are over */
	struct recover_report *report;
	struct buf *error;
	bool any; /* the segment being read has records that count */
};

static int trouble(struct recovery *r, int error, const char *action, const char *path)
{
	if (error < 0)
		buf_printf(r->error, "%s %s: %s", action, path, strerror(-error));
	return error;
}

/* --- which message is which --- */

static void key_of(struct buf *key, struct str id, struct timeval arrival)
{
	buf_clear(key);
	buf_printf(key, "%.*s %lld %lld", STR_ARG(id), (long long)arrival.tv_sec,
	    (long long)arrival.tv_usec);
}

static bool counts(const struct recovery *r, const struct segment_record *record)
{
	return record->stamp >= r->checkpoint;
}

static int take_note(void *context, const struct segment_record *record)
{
	struct recovery *r = context;
	CLEANUP(buf_free) struct buf key = BUF_INIT(KEY_MAX);
	if (record->kind == SEGMENT_REMOVED && counts(r, record)) {
		key_of(&key, record->id, record->arrival);
		(void)map_set(r->over, buf_str(&key), r);
	}
	return 0;
}

static bool is_over(const struct recovery *r, const struct segment_record *record)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(KEY_MAX);
	key_of(&key, record->id, record->arrival);
	return map_get(r->over, buf_str(&key)) != NULL;
}

/* --- what lies in the queues --- */

/* Blanks out what is changed in place after the commit: marks of recipients and of what
 * was reported, the size record and the time of the next warning. */
static void mask_changes(struct buf *b)
{
	struct str rest = buf_str(b), data;
	int type;
	for (;;) {
		const char *start = rest.p;
		if (record_read(&rest, &type, &data) != 1)
			return;
		if (type == RECORD_DONE)
			b->p[start - b->p] = RECORD_RECIPIENT;
		if (type == RECORD_KILLED)
			b->p[start - b->p] = RECORD_ATTRIBUTE;
		if (type == RECORD_SIZE || type == RECORD_WARN)
			memset(b->p + (data.p - b->p), ' ', data.len);
	}
}

static bool is_same(struct str recorded, const struct buf *found)
{
	if (recorded.len != found->len)
		return false;
	if (memcmp(recorded.p, found->p, found->len) == 0)
		return true;
	CLEANUP(buf_free) struct buf a = BUF_INIT(recorded.len);
	CLEANUP(buf_free) struct buf b = BUF_INIT(recorded.len);
	buf_add_str(&a, recorded);
	buf_add_str(&b, buf_str(found));
	mask_changes(&a);
	mask_changes(&b);
	return memcmp(a.p, b.p, a.len) == 0;
}

static bool is_same_time(struct timeval a, struct timeval b)
{
	return a.tv_sec == b.tv_sec && a.tv_usec == b.tv_usec;
}

static bool is_later(struct timeval a, struct timeval b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_usec > b.tv_usec);
}

enum found {
	FOUND_NOTHING,
	FOUND_WHOLE,
	FOUND_SPOILED, /* cut, empty, or other bytes: of what was in its slot before */
	FOUND_OTHER,   /* a later message has this id: ours had been removed before */
};

static enum found compare(const struct segment_record *record, const struct buf *bytes)
{
	struct timeval arrival;
	if (is_same(record->bytes, bytes))
		return FOUND_WHOLE;
	if (queue_arrival(buf_str(bytes), &arrival) && is_later(arrival, record->arrival))
		return FOUND_OTHER;
	return FOUND_SPOILED;
}

static const char *const queues[] = {QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED,
    QUEUE_HOLD, QUEUE_MAILDROP, QUEUE_CORRUPT};

/* What lies there is no queue file. */
static bool is_nothing(int error)
{
	return error == -ENOENT || error == -EPERM || error == -EISDIR || error == -ELOOP;
}

/* Looks at the file of the message in one queue. */
static int look(
    const struct segment_record *record, const char *queue, enum found *found_r)
{
	CLEANUP(file_close)
	int fd = queue_open(queue, record->id, O_RDONLY, (uid_t)-1);
	if (is_nothing(fd)) {
		*found_r = FOUND_NOTHING;
		return 0;
	}
	if (fd < 0)
		return fd;
	/* One byte more than was recorded shows that it is another file. */
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(record->bytes.len + 1);
	char *room = buf_reserve(&bytes, record->bytes.len + 1);
	ssize_t got = file_read_at(fd, room, record->bytes.len + 1, 0);
	if (got < 0)
		return (int)got;
	buf_advance(&bytes, (size_t)got);
	*found_r = compare(record, &bytes);
	return 0;
}

/* The first queue in which there is something of that name. */
static int find(
    const struct segment_record *record, const char **queue_r, enum found *found_r)
{
	*queue_r = NULL;
	*found_r = FOUND_NOTHING;
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		enum found found = FOUND_NOTHING;
		int error = look(record, queues[i], &found);
		if (error < 0)
			return error;
		if (found == FOUND_NOTHING)
			continue;
		if (*queue_r == NULL || found == FOUND_WHOLE) {
			*queue_r = queues[i];
			*found_r = found;
		}
	}
	return 0;
}

/* --- putting it right --- */

/* Whole and synced before it gets its name. What a run that was cut off left there may
 * be a message by now, under a second name. */
static int write_file(const struct segment_record *record)
{
	int error = file_unlink(AT_FDCWD, TEMPORARY);
	if (error < 0 && error != -ENOENT)
		return error;
	CLEANUP(file_close)
	int fd = file_open_at(
	    AT_FDCWD, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL, QUEUE_MODE_WRITING);
	if (fd < 0)
		return fd;
	error = file_write_all_at(fd, record->bytes.p, record->bytes.len, 0);
	if (error == 0)
		error = file_chmod(fd, QUEUE_MODE_READY);
	return error < 0 ? error : file_sync(fd);
}

static int restore(const struct segment_record *record, const char *spoiled_in)
{
	const char *queue = record->kind == SEGMENT_HELD ? QUEUE_HOLD : QUEUE_INCOMING;
	int error = write_file(record);
	if (error == 0 && spoiled_in != NULL)
		error = queue_remove(spoiled_in, record->id);
	return error < 0 ? error : queue_take_in(TEMPORARY, queue, record->id);
}

/* It gets its name, when it lies whole where it was written. */
static int take_in_place(const struct segment_record *record, enum found *found_r)
{
	char path[QUEUE_PLACE_MAX];
	enum found found;
	if (record->place == 0)
		return 0;
	queue_place_path(path, record->place);
	int error = look(record, path, &found);
	if (error < 0 || found != FOUND_WHOLE)
		return error;
	*found_r = FOUND_WHOLE;
	return queue_take_in(path, QUEUE_INCOMING, record->id);
}

static int settle_live(struct recovery *r, const struct segment_record *record)
{
	const char *queue = NULL;
	enum found found = FOUND_NOTHING;
	r->report->messages++;
	int error = find(record, &queue, &found);
	if (error == 0 && found == FOUND_NOTHING)
		error = take_in_place(record, &found);
	if (error == 0 && (found == FOUND_NOTHING || found == FOUND_SPOILED)) {
		error = restore(record, queue);
		r->report->restored++;
	} else if (found == FOUND_WHOLE) {
		r->report->complete++;
	}
	return error;
}

/* Its removal may have been lost. */
static int settle_over(struct recovery *r, const struct segment_record *record)
{
	const char *queue = NULL;
	enum found found = FOUND_NOTHING;
	int error = find(record, &queue, &found);
	if (error < 0 || (found != FOUND_WHOLE && found != FOUND_SPOILED))
		return error;
	r->report->removed++;
	return queue_remove(queue, record->id);
}

/* The arrival time of what lies under this id in a queue; -ENOENT: nothing readable. */
static int read_arrival(const char *queue, struct str id, struct timeval *arrival_r)
{
	char bytes[QUEUE_FRONT_MAX];
	CLEANUP(file_close) int fd = queue_open(queue, id, O_RDONLY, (uid_t)-1);
	ssize_t got = fd < 0 ? fd : file_read_at(fd, bytes, sizeof(bytes), 0);
	if (got < 0)
		return is_nothing((int)got) ? -ENOENT : (int)got;
	return queue_arrival((struct str){bytes, (size_t)got}, arrival_r) ? 0 : -ENOENT;
}

/* A message that a checkpoint has covered, and whose removal was noted afterwards: its
 * record counts no more, and the removal may have been lost. */
static int settle_note(struct recovery *r, const struct segment_record *note)
{
	int error = 0;
	for (size_t i = 0; error == 0 && i < ARRAY_SIZE(queues); i++) {
		struct timeval arrival;
		error = read_arrival(queues[i], note->id, &arrival);
		if (error == 0 && is_same_time(arrival, note->arrival)) {
			r->report->removed++;
			error = queue_remove(queues[i], note->id);
		}
		error = error == -ENOENT ? 0 : error;
	}
	return error;
}

static int settle_record(struct recovery *r, const struct segment_record *record)
{
	if (record->kind == SEGMENT_REMOVED)
		return settle_note(r, record);
	return is_over(r, record) ? settle_over(r, record) : settle_live(r, record);
}

/* A checkpoint covers what has a name. One without is settled, and gone from its place,
 * or not. */
static int settle_covered(struct recovery *r, const struct segment_record *record)
{
	enum found found = FOUND_NOTHING;
	if (record->place == 0 || is_over(r, record))
		return 0;
	int error = take_in_place(record, &found);
	return error == -EEXIST ? 0 : error;
}

static int settle(void *context, const struct segment_record *record)
{
	struct recovery *r = context;
	char id[QUEUE_ID_MAX];
	if (!counts(r, record))
		return settle_covered(r, record);
	r->any = true;
	int error = settle_record(r, record);
	return str_to_cstr(record->id, id, sizeof(id)) ? trouble(r, error, "recover", id)
						       : error;
}

/* --- all segments --- */

static int each_segment(struct recovery *r, int (*visit)(void *context, int fd))
{
	char name[SEGMENT_NAME_MAX] = "the log";
	int error = segment_each(r->dir, visit, r, name);
	return r->error->len > 0 ? error : trouble(r, error, "recover", name);
}

static int visit_notes(void *context, int fd)
{
	return segment_read(fd, take_note, context);
}

static int visit_messages(void *context, int fd)
{
	struct recovery *r = context;
	r->any = false;
	int error = segment_read(fd, settle, r);
	r->report->segments += r->any;
	return error;
}

static int visit_end(UNUSED void *context, int fd)
{
	return segment_invalidate(fd);
}

/* Everything is in its place: it is made durable, and only then forgotten, all at once:
 * a message whose note was forgotten before it would come back. So would one that still
 * lay in its slot. */
static int conclude(struct recovery *r)
{
	int error = trouble(r, commit_slots_empty(), "empty", COMMIT_SLOTS);
	if (error == 0)
		error = trouble(r, file_sync_system(r->dir), "sync", "the queue");
	if (error == 0)
		error =
		    trouble(r, checkpoint_cover_all(r->dir), "write", "the checkpoint");
	if (error == 0)
		error = each_segment(r, visit_end);
	if (error == 0)
		error = trouble(r, checkpoint_reset(r->dir), "reset", "the checkpoint");
	if (error == 0)
		error = trouble(r, commit_pool_empty(), "empty", COMMIT_POOL);
	return error;
}

int recover_run(struct recover_report *report_r, struct buf *error)
{
	CLEANUP(file_close)
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	*report_r = (struct recover_report){.segments = 0};
	if (dir == -ENOENT)
		return 0;
	struct recovery r = {.dir = dir, .report = report_r, .error = error};
	if (dir < 0)
		return trouble(&r, dir, "open", SEGMENT_DIRECTORY);
	int result =
	    trouble(&r, checkpoint_read(dir, &r.checkpoint), "read", "the checkpoint");
	r.over = map_new();
	if (result == 0)
		result = each_segment(&r, visit_notes);
	if (result == 0)
		result = each_segment(&r, visit_messages);
	if (result == 0)
		result = conclude(&r);
	map_free(r.over);
	return result;
}

int recover_finish(struct buf *error)
{
	CLEANUP(file_close)
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	struct recover_report report = {.segments = 0};
	/* Nothing was lost: all that the log knows better is what has no name. */
	struct recovery r = {
	    .dir = dir, .checkpoint = INT64_MAX, .report = &report, .error = error};
	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return trouble(&r, dir, "open", SEGMENT_DIRECTORY);
	r.over = map_new();
	int result = each_segment(&r, visit_messages);
	map_free(r.over);
	if (result == 0)
		result = conclude(&r);
	return result < 0 ? result
			  : trouble(&r, segment_remove_all(dir), "remove", "segments");
}
