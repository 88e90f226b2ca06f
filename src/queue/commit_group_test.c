#include "queue/commit_group.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "queue/commit_notes.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

#define MESSAGES 400

struct scene {
	struct commit_group *group;
	int dir;
	unsigned started, finished, kept, refused, failed;
	struct str bytes;
};

static void open_scene(struct scene *s)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir(SEGMENT_DIRECTORY, 0700), 0);
	s->dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	s->group = commit_group_new(s->dir, SEGMENT_SIZE_MIN, NULL);
}

static void close_scene(struct scene *s)
{
	commit_group_free(s->group);
	file_close(&s->dir);
}

static int append(struct scene *s, const char *id)
{
	struct segment_record r = {.kind = SEGMENT_MESSAGE,
	    .stamp = segment_now(),
	    .id = str_of(id),
	    .bytes = s->bytes};
	return commit_group_append(s->group, &r);
}

/* The first message asks for a segment and does not wait for it. */
static void until_ready(struct scene *s)
{
	while (append(s, "AAAAA0") == -EAGAIN)
		fiber_sleep_ms(1);
}

static void settle(struct scene *s)
{
	while (commit_group_busy(s->group))
		fiber_sleep_ms(1);
}

static void one(void *argument)
{
	struct scene *s = argument;
	char id[32];
	(void)snprintf(id, sizeof(id), "AAAAA%u", ++s->started);
	int result = append(s, id);
	s->kept += result == 0;
	s->refused += result == -EAGAIN;
	s->failed += result != 0 && result != -EAGAIN;
	s->finished++;
}

static void many(void *argument)
{
	struct scene *s = argument;
	until_ready(s);
	settle(s);
	fault_set(FAULT_FSYNC, 1000000, false, EIO);
	for (unsigned i = 0; i < MESSAGES; i++)
		if (fiber_start("message", one, s) != 0)
			return;
	while (s->finished < MESSAGES)
		fiber_sleep_ms(1);
	settle(s);
}

static int count(void *context, const struct segment_record *r)
{
	unsigned *total = context;
	*total += r->bytes.len > 0;
	return 0;
}

static int count_in(void *context, int fd)
{
	return segment_read(fd, count, context);
}

static unsigned records(struct scene *s)
{
	unsigned total = 0;
	assert_int_equal(segment_each(s->dir, count_in, &total, NULL), 0);
	return total;
}

TEST(all_that_are_ready_share_a_sync)
{
	struct scene s = {.bytes = STR("text")};
	open_scene(&s);
	run_main(many, &s);
	unsigned syncs = fault_count(FAULT_FSYNC);
	fault_set(FAULT_FSYNC, 0, false, 0);
	assert_int_equal(s.kept, MESSAGES);
	assert_true(syncs < MESSAGES / 4);
	assert_int_equal(records(&s), MESSAGES + 1);
	close_scene(&s);
}

TEST(full_segments_are_emptied_and_used_again)
{
	static char text[3000];
	memset(text, 'x', sizeof(text));
	struct scene s = {.bytes = {text, sizeof(text)}};
	open_scene(&s);
	run_main(many, &s);
	fault_set(FAULT_FSYNC, 0, false, 0);
	/* 1.2 MB through two segments of 256 KB: who comes while none is empty is told so
	 * at once. */
	assert_int_equal(s.kept + s.refused, MESSAGES);
	assert_int_equal(s.failed, 0);
	assert_true(s.kept > 80);
	close_scene(&s);
}

static void end_of_process(void *argument)
{
	struct scene *s = argument;
	until_ready(s);
	while (!commit_group_retire(s->group, false))
		fiber_sleep_ms(1);
	s->refused = append(s, "BBBBB1") == -EAGAIN;
	settle(s);
}

TEST(a_process_that_ends_leaves_empty_segments)
{
	struct scene s = {.bytes = STR("text")};
	open_scene(&s);
	run_main(end_of_process, &s);
	assert_int_equal(s.refused, 1);
	assert_int_equal(records(&s), 0);
	close_scene(&s);
}

static void failing_sync(void *argument)
{
	struct scene *s = argument;
	until_ready(s);
	settle(s);
	fault_set(FAULT_FSYNC, 1, false, EIO);
	one(s);
	fault_set(FAULT_FSYNC, 0, false, 0);
	settle(s);
	/* Another segment takes its place. */
	while (append(s, "BBBBB1") == -EAGAIN)
		fiber_sleep_ms(1);
	settle(s);
}

TEST(a_failed_sync_fails_its_batch_and_later_ones_go_elsewhere)
{
	struct scene s = {.bytes = STR("text")};
	open_scene(&s);
	run_main(failing_sync, &s);
	assert_int_equal(s.failed, 1);
	close_scene(&s);
}

static void no_space(void *argument)
{
	struct scene *s = argument;
	fault_set(FAULT_WRITE, 1, true, ENOSPC);
	one(s);
	settle(s);
	fault_set(FAULT_WRITE, 0, false, 0);
}

TEST(without_a_segment_the_caller_is_told_and_may_say_why)
{
	struct scene s = {.bytes = STR("text")};
	open_scene(&s);
	run_main(no_space, &s);
	assert_int_equal(s.refused, 1);
	assert_int_equal(commit_group_trouble(s.group), -ENOSPC);
	assert_int_equal(commit_group_trouble(s.group), 0);
	close_scene(&s);
}

static void write_notes(void *argument)
{
	struct commit_notes *n = argument;
	struct timeval arrival = {.tv_sec = 1, .tv_usec = 2};
	for (int i = 0; i < 3; i++)
		commit_notes_removed(n, STR("AAAAA1"), arrival);
	commit_notes_removed(NULL, STR("AAAAA1"), arrival);
	while (commit_notes_busy(n))
		fiber_sleep_ms(10);
}

static int count_removed(void *context, const struct segment_record *r)
{
	unsigned *total = context;
	assert_int_equal(r->kind, SEGMENT_REMOVED);
	assert_true(str_is(r->id, "AAAAA1"));
	assert_int_equal(r->arrival.tv_usec, 2);
	(*total)++;
	return 0;
}

TEST(notes_of_a_second_are_written_together)
{
	struct commit_notes *n = NULL;
	unsigned total = 0;
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("commit", 0700), 0);
	assert_int_equal(commit_notes_open(SEGMENT_SIZE_MIN, &n), 0);
	run_main(write_notes, n);
	commit_notes_close(n);
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, "commit/000.log", O_RDONLY, 0);
	assert_int_equal(segment_read(fd, count_removed, &total), 0);
	assert_int_equal(total, 3);
}
