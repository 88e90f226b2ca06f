/*
 * Which file is looked at next. New mail is announced by id; incoming is scanned at
 * start, at wakeup, after a flush, and when announcements had to be dropped; deferred is
 * scanned every queue_run_delay, and then what a failing call left lying is looked after.
 * New and deferred mail take turns. Nothing is taken while the active queue is full, so
 * memory does not depend on the backlog.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "queue/commit_segment.h"
#include "run/loop.h"

#define ANNOUNCED_MAX  20000 /* ids kept; more are left to a scan */
#define ACTIVATING_MAX 50    /* files that are being read and resolved at once */
#define SCAN_STEP      200   /* names looked at before others get their turn */
#define DEFERRED_SHARE 80    /* percent of the active queue that deferred mail may take */
#define AGAIN_SOON_MS  5000
#define SCAN_BACKLOG   1000000
#define ORPHANS_MS     500  /* until an announcer that died is really gone */
#define ORPHANS_NEXT   5000 /* the second look: its successor may have held a segment */

static struct {
	struct commit_message *announced; /* ring */
	size_t first, count;
	struct queue_scan *incoming, *deferred;
	bool scan_incoming, scan_deferred; /* wanted after the one under way */
	bool started;
	int64_t name_after; /* monotonic ms: no names are given before */
	int64_t scan_after; /* the same: no scan starts before */
	bool second_look;   /* for orphans */
	bool whatever_time; /* SCAN_ALL: deferred mail that is not due too */
	bool left_lying;    /* a file could not be moved, removed or read */
	bool deferred_turn;
	unsigned activating, activating_old; /* the latter: of these from deferred */
	struct fiber_queue changed;
	struct run_timer *deferred_timer, *again_timer, *orphans_timer;
} intake;

uint32_t intake_backlog(void)
{
	return (uint32_t)(intake.incoming != NULL ? SCAN_BACKLOG : intake.count);
}

void intake_wake(void)
{
	fiber_queue_wake_one(&intake.changed);
}

static void keep(const struct commit_message *m)
{
	if (intake.count == ANNOUNCED_MAX) {
		intake.scan_incoming = true; /* without a name: it will be late */
		return;
	}
	size_t at = (intake.first + intake.count++) % ANNOUNCED_MAX;
	intake.announced[at] = *m;
}

/* A message without a name that was not taken gets one. When that fails it will fail for
 * the others too, for a while. */
static void name(const struct commit_message *m)
{
	char place[QUEUE_PLACE_MAX];
	struct commit_message named = *m;
	queue_place_path(place, m->place);
	if (clock_ms() < intake.name_after || commit_message_lies(m) <= 0)
		return;
	int error = queue_move(str_of(m->id), place, QUEUE_INCOMING);
	if (error != 0) {
		log_warning("%s: move from %s to %s: %s", m->id, place, QUEUE_INCOMING,
		    strerror(-error));
		intake.name_after = deadline_after_ms(AGAIN_SOON_MS);
		return;
	}
	named.place = 0;
	keep(&named);
}

/* Not before the start: until then the one before us has it. */
static void name_late(const struct commit_message *m)
{
	if (!intake.started)
		return;
	struct message *active = map_get(qmgr.messages, str_of(m->id));
	if (active == NULL)
		name(m);
	else if (active->place == m->place)
		fresh_move(active);
}

void intake_announce(const struct commit_message *m, bool late)
{
	if (late)
		name_late(m);
	else
		keep(m);
	intake_wake();
}

/* --- mail that nobody announces any more --- */

static void name_orphan(UNUSED void *context, const struct segment_record *r)
{
	struct commit_message m = {.arrival = r->arrival, .place = r->place};
	if (str_to_cstr(r->id, m.id, sizeof(m.id)))
		name_late(&m);
}

/* Of processes that died and left mail without a name in the log. */
static void name_orphans(void)
{
	CLEANUP(file_close)
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	int error = dir < 0 ? dir : segment_unnamed(dir, false, name_orphan, NULL);
	if (error != 0 && error != -ENOENT)
		log_warning("look for new mail in the commit log: %s", strerror(-error));
}

static void look_for_orphans(UNUSED void *argument)
{
	name_orphans();
	intake_wake();
	if (!intake.second_look)
		run_timer_set(intake.orphans_timer, deadline_after_ms(ORPHANS_NEXT));
	intake.second_look = true;
}

void intake_look_for_orphans(void)
{
	intake.second_look = false;
	run_timer_set(intake.orphans_timer, deadline_after_ms(ORPHANS_MS));
}

/* Files in active that no message in memory stands for. */
static void empty_active(const char *to)
{
	struct queue_scan *scan = queue_scan_new(QUEUE_ACTIVE);
	char id[QUEUE_ID_MAX];
	while (scan != NULL && queue_scan_next(scan, id)) {
		if (map_get(qmgr.messages, str_of(id)) != NULL)
			continue;
		int error = queue_move(str_of(id), QUEUE_ACTIVE, to);
		if (error == 0)
			continue;
		log_warning(
		    "%s: move from %s to %s: %s", id, QUEUE_ACTIVE, to, strerror(-error));
		intake.left_lying = true;
	}
	queue_scan_free(scan);
}

void intake_left_lying(void)
{
	intake.left_lying = true;
	qmgr.logs_before = clock_wall_seconds();
}

/* Deferred, because new mail is taken to have no reasons of an earlier attempt. */
static void look_after_what_was_left(void)
{
	if (!intake.left_lying)
		return;
	intake.left_lying = false;
	empty_active(QUEUE_DEFERRED);
	intake.scan_incoming = true;
}

void intake_trigger(uint32_t flags)
{
	if (flags & QMGR_FLUSH_DEAD)
		destinations_forget_dead();
	if (flags & QMGR_SCAN_INCOMING)
		intake.scan_incoming = true;
	if (flags & QMGR_SCAN_DEFERRED) {
		look_after_what_was_left();
		intake.scan_deferred = true;
	}
	if (flags & QMGR_SCAN_ALL)
		intake.whatever_time = true;
	intake_wake();
}

void intake_again_soon(void)
{
	run_timer_set(intake.again_timer, deadline_after_ms(AGAIN_SOON_MS));
}

static void again(UNUSED void *argument)
{
	intake_trigger(QMGR_SCAN_INCOMING);
}

static void deferred_is_due(UNUSED void *argument)
{
	destinations_sweep();
	intake_trigger(QMGR_SCAN_DEFERRED);
	run_timer_set(
	    intake.deferred_timer, deadline_after_seconds(qmgr.params.queue_run_delay));
}

/* A wanted scan starts when the one before is through. One that cannot start (no
 * descriptor is free) stays wanted: nobody would look for its mail otherwise. */
static struct queue_scan *scan_under_way(
    struct queue_scan **scan, bool *wanted, const char *queue)
{
	if (*scan != NULL || !*wanted || clock_ms() < intake.scan_after)
		return *scan;
	*scan = queue_scan_new(queue);
	*wanted = *scan == NULL;
	if (*wanted) {
		log_warning("open directory %s: %s", queue, strerror(errno));
		intake.scan_after = deadline_after_ms(AGAIN_SOON_MS);
		intake_again_soon();
	}
	return *scan;
}

static bool next_announced(struct commit_message *m)
{
	if (intake.count == 0)
		return false;
	*m = intake.announced[intake.first];
	intake.first = (intake.first + 1) % ANNOUNCED_MAX;
	intake.count--;
	return true;
}

static bool next_incoming(struct commit_message *m)
{
	if (next_announced(m))
		return true;
	while (scan_under_way(&intake.incoming, &intake.scan_incoming, QUEUE_INCOMING) !=
	    NULL) {
		if (queue_scan_next(intake.incoming, m->id))
			return true;
		queue_scan_free(intake.incoming);
		intake.incoming = NULL;
	}
	return false;
}

/* The time stamp of a deferred file says when to look next. */
static bool is_due(const char id[QUEUE_ID_MAX])
{
	char path[QUEUE_PATH_MAX];
	struct stat status;
	queue_path(path, QUEUE_DEFERRED, str_of(id));
	if (fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	return intake.whatever_time || status.st_mtim.tv_sec <= clock_wall_seconds();
}

enum next { NEXT_NONE, NEXT_FOUND, NEXT_LATER };

/* NEXT_LATER: the scan goes on after others had their turn, however many files wait. */
static enum next next_deferred(char id[QUEUE_ID_MAX])
{
	unsigned steps = 0;
	while (scan_under_way(&intake.deferred, &intake.scan_deferred, QUEUE_DEFERRED) !=
	    NULL) {
		if (steps++ == SCAN_STEP)
			return NEXT_LATER;
		if (queue_scan_next(intake.deferred, id)) {
			if (is_due(id))
				return NEXT_FOUND;
			continue;
		}
		queue_scan_free(intake.deferred);
		intake.deferred = NULL;
		if (!intake.scan_deferred)
			intake.whatever_time = false;
	}
	return NEXT_NONE;
}

/* A part of the active queue is for new mail alone, so that it gets through whatever the
 * deferred mail waits for. */
static bool has_room_for_deferred(void)
{
	return qmgr.old_messages + intake.activating_old <
	    (size_t)qmgr.params.qmgr_message_active_limit * DEFERRED_SHARE / 100 + 1;
}

static enum next next_file(struct commit_message *m, const char **queue_r)
{
	bool deferred_first = intake.deferred_turn = !intake.deferred_turn;
	enum next result = NEXT_NONE;
	*queue_r = QUEUE_DEFERRED;
	m->place = 0;
	if (deferred_first && has_room_for_deferred())
		result = next_deferred(m->id);
	if (result == NEXT_FOUND)
		return result;
	if (next_incoming(m)) {
		*queue_r = QUEUE_INCOMING;
		return NEXT_FOUND;
	}
	return !deferred_first && has_room_for_deferred() ? next_deferred(m->id) : result;
}

struct candidate {
	const char *queue;
	struct commit_message message;
};

static bool is_old(const struct candidate *c)
{
	return str_is(str_of(c->queue), QUEUE_DEFERRED);
}

/* It may have been given a name after it was announced. */
static void activate_where_it_lies(struct candidate *c)
{
	char place[QUEUE_PLACE_MAX];
	if (c->message.place != 0) {
		queue_place_path(place, c->message.place);
		if (message_activate(place, &c->message))
			return;
		c->message.place = 0;
	}
	(void)message_activate(c->queue, &c->message);
}

static void activate(void *argument)
{
	struct candidate *c = argument;
	activate_where_it_lies(c);
	intake.activating_old -= is_old(c);
	free(c);
	intake.activating--;
	intake_wake();
}

static void start_activating(const char *queue, const struct commit_message *m)
{
	struct candidate *c = memory_alloc(sizeof(*c));
	c->queue = queue;
	c->message = *m;
	intake.activating++;
	intake.activating_old += is_old(c);
	if (fiber_start("activate", activate, c) == 0)
		return;
	intake.activating--;
	intake.activating_old -= is_old(c);
	free(c);
	intake_again_soon();
}

static bool has_room(void)
{
	return intake.activating < ACTIVATING_MAX &&
	    map_count(qmgr.messages) + intake.activating <
	    (size_t)qmgr.params.qmgr_message_active_limit &&
	    qmgr.recipients < (size_t)qmgr.params.qmgr_message_recipient_limit;
}

static void run(UNUSED void *argument)
{
	struct commit_message message = {.place = 0};
	const char *queue;
	for (;;) {
		enum next next = has_room() ? next_file(&message, &queue) : NEXT_NONE;
		if (next == NEXT_FOUND)
			start_activating(queue, &message);
		else if (next == NEXT_LATER)
			fiber_yield();
		else
			(void)fiber_queue_wait(&intake.changed, CLOCK_NEVER);
	}
}

void intake_prepare(void)
{
	fiber_queue_init(&intake.changed);
	intake.announced = memory_alloc_array(ANNOUNCED_MAX, sizeof(*intake.announced));
	intake.deferred_timer = run_timer_new(deferred_is_due, NULL);
	intake.again_timer = run_timer_new(again, NULL);
	intake.orphans_timer = run_timer_new(look_for_orphans, NULL);
}

void intake_start(void)
{
	empty_active(
	    QUEUE_INCOMING); /* what an earlier qmgr had there is new mail again */
	intake.started = true;
	name_orphans();
	intake_trigger(QMGR_SCAN_INCOMING | QMGR_SCAN_DEFERRED);
	run_timer_set(
	    intake.deferred_timer, deadline_after_seconds(qmgr.params.queue_run_delay));
	if (fiber_start("intake", run, NULL) != 0)
		log_error("cannot start the intake");
}
