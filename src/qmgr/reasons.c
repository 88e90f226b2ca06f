/*
 * Before a message is returned: the notice is made from the defer log, and then the
 * message is removed, so whom the log does not name would be lost without a word. There
 * are many ways to be without an entry: an agent could not open the file, the defer
 * service was down, memory or fibers ran out, a qmgr ended in the middle of an attempt.
 * So the log is compared with the queue file, whatever went wrong.
 *
 * Memory: the offsets of the log's entries, and one portion of recipients.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/bounce_client.h"
#include "queue/bounce_log.h"

#define CHUNK          (256 * 1024) /* of the log; longer than any entry */
#define TOGETHER       200          /* recipients */
#define TOGETHER_ARENA (4 * 1024 * 1024)
#define OFFSETS_FIRST  1024

struct offsets {
	int64_t *at;
	size_t count, room;
};

static void offsets_add(struct offsets *o, int64_t offset)
{
	if (o->count == o->room) {
		o->room = o->room == 0 ? OFFSETS_FIRST : 2 * o->room;
		o->at = memory_resize(o->at, o->room * sizeof(*o->at));
	}
	o->at[o->count++] = offset;
}

static int compare(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
	return (a > b) - (a < b);
}

static bool offsets_have(const struct offsets *o, int64_t offset)
{
	return o->count > 0 &&
	    bsearch(&offset, o->at, o->count, sizeof(*o->at), compare) != NULL;
}

/* Takes the entries that are whole, up to the last empty line; how many bytes remain. A
 * last one that a crash cut short does not count: the next one written would become a
 * part of it. */
static size_t take_entries(char *text, size_t len, struct offsets *o)
{
	struct bounce_log_reader reader;
	struct bounce_entry e;
	size_t end = len;
	while (end >= 2 && (text[end - 1] != '\n' || text[end - 2] != '\n'))
		end--;
	if (end < 2) /* no entry is as long as a chunk: damaged, it stands for nobody */
		return len < CHUNK ? len : 0;
	bounce_log_reader_init(&reader, (struct str){text, end});
	while (bounce_log_next(&reader, &e))
		offsets_add(o, e.offset);
	bounce_log_reader_free(&reader);
	memmove(text, text + end, len - end);
	return len - end;
}

/* Piece by piece, so that a large log does not keep the loop. A log of more than bounce
 * reads would make no notice. */
static int read_log(struct str id, struct offsets *o)
{
	char path[QUEUE_PATH_MAX];
	queue_path(path, QUEUE_DEFER, id);
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	char *text = memory_alloc(CHUNK);
	size_t used = 0, total = 0;
	ssize_t got = 0;
	while (total <= BOUNCE_LOG_SIZE_MAX &&
	    (got = file_read_some(fd, text + used, CHUNK - used)) > 0) {
		total += (size_t)got;
		used = take_entries(text, used + (size_t)got, o);
		fiber_yield();
	}
	free(text);
	if (o->count > 0)
		qsort(o->at, o->count, sizeof(*o->at), compare);
	if (got < 0)
		return (int)got;
	return total > BOUNCE_LOG_SIZE_MAX ? -EFBIG : 0;
}

static struct bounce_add_entry entry_for(
    const struct message *m, const struct queue_recipient *r)
{
	return (struct bounce_add_entry){.id = str_of(m->id),
	    .offset = r->offset,
	    .recipient = r->address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify,
	    /* RFC 3463 3.5: delivery time expired */
	    .status = STR("4.4.7"),
	    .action = STR("delayed"),
	    .reason = STR("delivery time expired, and no attempt came to an end")};
}

/* Adds entries for those of the recipients that have none, and their number to *added. */
static int add_missing(const struct message *m, const struct offsets *known,
    const struct queue_recipient *recipients, size_t count, struct arena *a,
    size_t *added)
{
	struct bounce_append request = {
	    .entries = arena_alloc_array(a, count, sizeof(*request.entries))};
	if (request.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!offsets_have(known, recipients[i].offset))
			request.entries[request.entries_count++] =
			    entry_for(m, &recipients[i]);
	*added += request.entries_count;
	return request.entries_count > 0 ? bounce_client_append(qmgr.defer, &request) : 0;
}

/* REDIRECT sends one message for all recipients, so one entry speaks of all. */
static int compare_redirected(const struct message *m, const struct offsets *known,
    struct queue_recipient *recipients, size_t count, struct arena *a, size_t *added)
{
	if (known->count > 0 || count == 0)
		return 0;
	struct queue_recipient *first = &recipients[0];
	if (first->original.len == 0)
		first->original = first->address;
	first->address = m->envelope.redirect;
	return add_missing(m, known, first, 1, a, added);
}

/* One portion; *offset moves on, to -1 after the last one. */
static int compare_some(const struct message *m, struct queue_file *f, int64_t *offset,
    const struct offsets *known, size_t *added)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(TOGETHER_ARENA);
	struct queue_recipient *recipients =
	    arena_alloc_array(a, TOGETHER, sizeof(*recipients));
	if (recipients == NULL)
		return -ENOMEM;
	ssize_t got = queue_file_recipients(f, a, offset, recipients, TOGETHER);
	if (got < 0)
		return (int)got;
	if (m->envelope.redirect.len == 0)
		return add_missing(m, known, recipients, (size_t)got, a, added);
	*offset = -1;
	return compare_redirected(m, known, recipients, (size_t)got, a, added);
}

static int compare_all(
    const struct message *m, struct queue_file *f, const struct offsets *known)
{
	int64_t offset = 0;
	size_t added = 0;
	int error = 0;
	while (error == 0 && offset >= 0) {
		error = compare_some(m, f, &offset, known, &added);
		fiber_yield();
	}
	if (error == 0 && added > 0)
		log_warning("%s: no delivery attempt came to an end for %zu recipients "
			    "that are returned",
		    m->id, added);
	return error;
}

int reasons_complete(const struct message *m)
{
	struct offsets known = {.at = NULL};
	struct queue_file f;
	int error = read_log(str_of(m->id), &known);
	if (error == 0)
		error = queue_file_open(
		    &f, m->queue, str_of(m->id), false, false, qmgr.queue_owner);
	if (error == 0) {
		error = compare_all(m, &f, &known);
		queue_file_close(&f);
	}
	free(known.at);
	return error;
}
