#include "queue/commit_notes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/commit_segment.h"
#include "queue/queue_id.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/worker.h"

#define NOTES_DELAY_MS 1000
#define NOTES_MAX      5000 /* in a batch; with more, nobody waits for the second */

struct batch {
	struct segment_record records[NOTES_MAX];
	char ids[NOTES_MAX][QUEUE_ID_MAX];
	size_t count;
};

struct commit_notes {
	int dir;
	int64_t size;
	struct segment *segment;
	struct run_timer *timer;
	struct batch *next, *under_way; /* collected; being written, or a spare */
	bool writing;
};

static void start(void *argument);

int commit_notes_open(int64_t segment_size, struct commit_notes **n_r)
{
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	struct commit_notes *n = memory_alloc(sizeof(*n));
	n->dir = dir;
	n->size = segment_size;
	n->timer = run_timer_new(start, n);
	n->next = memory_alloc(sizeof(*n->next));
	n->under_way = memory_alloc(sizeof(*n->under_way));
	*n_r = n;
	return 0;
}

void commit_notes_close(struct commit_notes *n)
{
	if (n == NULL)
		return;
	ENSURE(!n->writing);
	run_timer_free(n->timer);
	segment_close(n->segment);
	file_close(&n->dir);
	free(n->next);
	free(n->under_way);
	free(n);
}

bool commit_notes_busy(const struct commit_notes *n)
{
	return n != NULL && (n->writing || n->next->count > 0);
}

static void drop_unless(struct commit_notes *n, int result)
{
	if (result == 0)
		return;
	segment_close(n->segment);
	n->segment = NULL;
}

/* Notes that find no room are lost: a message may then come twice after a crash. */
static void write_job(void *job)
{
	struct commit_notes *n = job;
	struct batch *b = n->under_way;
	size_t cost = 0;
	for (size_t i = 0; i < b->count; i++)
		cost += segment_cost(&b->records[i]);
	if (n->segment != NULL && segment_room(n->segment) < cost)
		drop_unless(n, segment_renew(n->segment));
	if (n->segment == NULL && segment_take(n->dir, n->size, &n->segment) < 0)
		n->segment = NULL;
	if (n->segment != NULL)
		drop_unless(n, segment_append(n->segment, b->records, b->count));
	b->count = 0;
}

static void write_notes(void *argument)
{
	struct commit_notes *n = argument;
	struct batch *full = n->next;
	n->next = n->under_way;
	n->under_way = full;
	run_disk(NULL, write_job, n);
	n->writing = false;
	if (n->next->count > 0)
		run_timer_set(n->timer,
		    n->next->count < NOTES_MAX ? deadline_after_ms(NOTES_DELAY_MS)
					       : clock_ms());
}

static void start(void *argument)
{
	struct commit_notes *n = argument;
	if (n->writing || n->next->count == 0)
		return;
	n->writing = fiber_start("notes", write_notes, n) == 0;
	if (!n->writing)
		run_timer_set(n->timer, deadline_after_ms(NOTES_DELAY_MS));
}

void commit_notes_removed(struct commit_notes *n, struct str id, struct timeval arrival)
{
	if (n == NULL || n->next->count == NOTES_MAX || id.len >= QUEUE_ID_MAX)
		return;
	struct batch *b = n->next;
	char *copy = b->ids[b->count];
	memcpy(copy, id.p, id.len);
	b->records[b->count++] = (struct segment_record){.kind = SEGMENT_REMOVED,
	    .stamp = segment_now(),
	    .id = {copy, id.len},
	    .arrival = arrival};
	if (b->count == 1 && !n->writing)
		run_timer_set(n->timer, deadline_after_ms(NOTES_DELAY_MS));
	else if (b->count == NOTES_MAX)
		start(n);
}
