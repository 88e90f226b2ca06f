#include "queue/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/file.h"
#include "queue/commit_checkpoint.h"
#include "queue/commit_segment.h"
#include "queue/queue_dir.h"
#include "queue/queue_file.h"
#include "queue/queue_write.h"
#include "unit.h"

#define ID "ABCDE123"

static const struct timeval arrival = {.tv_sec = 1795318146, .tv_usec = 448913};

static void enter_queue(void)
{
	static const char *const names[] = {QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_ACTIVE,
	    QUEUE_DEFERRED, QUEUE_HOLD, QUEUE_CORRUPT, SEGMENT_DIRECTORY};
	assert_int_equal(chdir(unit_directory()), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(mkdir(names[i], 0700), 0);
	queue_dir_configure(STR("deferred, hold"), 1);
}

static void make_message(struct buf *out, struct timeval when, const char *text)
{
	char size[QUEUE_SIZE_RECORD];
	queue_size_record(size, &(struct queue_size){.recipients = 2});
	buf_add(out, size, sizeof(size));
	queue_time_record(out, when);
	record_write(out, RECORD_SENDER, STR("a@example"));
	record_printf(out, RECORD_WARN, "%15d", 1000);
	record_write(out, RECORD_RECIPIENT, STR("b@example"));
	record_write(out, RECORD_RECIPIENT, STR("c@example"));
	record_write(out, RECORD_MESSAGE, STR_EMPTY);
	record_write(out, RECORD_LINE, str_of(text));
	record_write(out, RECORD_EXTRACTED, STR_EMPTY);
	record_write(out, RECORD_END, STR_EMPTY);
}

static int open_commit(void)
{
	return file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
}

/* The segment stays held, so that what is noted next goes to another one. */
static struct segment *record(
    enum segment_kind kind, struct timeval when, struct str bytes)
{
	struct segment *s = NULL;
	CLEANUP(file_close) int dir = open_commit();
	struct segment_record r = {.kind = kind,
	    .stamp = segment_now(),
	    .id = STR(ID),
	    .arrival = when,
	    .bytes = bytes};
	assert_int_equal(segment_take(dir, SEGMENT_SIZE_MIN, &s), 0);
	assert_int_equal(segment_append(s, &r, 1), 0);
	return s;
}

static void note(enum segment_kind kind, struct timeval when, struct str bytes)
{
	segment_close(record(kind, when, bytes));
}

static void put_file(const char *path, struct str bytes, mode_t mode)
{
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
}

static void assert_file(const char *path, struct str bytes)
{
	struct stat status;
	CLEANUP(buf_free) struct buf found = BUF_INIT(1 << 20);
	assert_int_equal(file_read_whole(AT_FDCWD, path, &found), 0);
	assert_true(str_equal(buf_str(&found), bytes));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, QUEUE_MODE_READY);
}

static struct recover_report recover(void)
{
	struct recover_report report;
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	assert_int_equal(recover_run(&report, &error), 0);
	assert_int_equal(error.len, 0);
	return report;
}

TEST(without_segments_there_is_nothing_to_do)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(recover().segments, 0);
	enter_queue();
	assert_int_equal(recover().segments, 0);
}

struct loss {
	const char *path;     /* what lies there after the crash; NULL: nothing */
	size_t keep;          /* bytes from the front; SIZE_MAX: all */
	const char *expected; /* where the message is found after recovery */
	bool restored;
};

static void check_loss(const struct loss *l, struct str bytes)
{
	if (l->path != NULL)
		put_file(l->path, str_slice(bytes, 0, l->keep), 0700);
	note(SEGMENT_MESSAGE, arrival, bytes);
	struct recover_report report = recover();
	assert_int_equal(report.messages, 1);
	assert_int_equal(report.restored, l->restored);
	assert_int_equal(report.complete, !l->restored);
	assert_file(l->expected, bytes);
	assert_int_equal(unlink(l->expected), 0);
	if (l->path != NULL)
		assert_int_not_equal(access(l->path, F_OK), 0);
	/* Done once and for all. */
	assert_int_equal(recover().messages, 0);
}

TEST(a_message_that_is_missing_or_spoiled_is_written_again)
{
	static const struct loss rows[] = {
	    {NULL, 0, "incoming/" ID, true},
	    {"incoming/" ID, 0, "incoming/" ID, true},
	    {"incoming/" ID, 100, "incoming/" ID, true},
	    {"active/" ID, 150, "incoming/" ID, true},
	    {"corrupt/" ID, 150, "incoming/" ID, true},
	    {"incoming/" ID, SIZE_MAX, "incoming/" ID, false},
	    {"active/" ID, SIZE_MAX, "active/" ID, false},
	    {"deferred/A/" ID, SIZE_MAX, "deferred/A/" ID, false},
	    {"hold/A/" ID, SIZE_MAX, "hold/A/" ID, false},
	    {"maildrop/" ID, SIZE_MAX, "maildrop/" ID, false},
	};
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	assert_int_equal(mkdir("deferred/A", 0700), 0);
	assert_int_equal(mkdir("hold/A", 0700), 0);
	make_message(&bytes, arrival, "text");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_loss(&rows[i], buf_str(&bytes));
}

TEST(a_held_message_comes_back_held)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	note(SEGMENT_HELD, arrival, buf_str(&bytes));
	assert_int_equal(recover().restored, 1);
	assert_file("hold/A/" ID, buf_str(&bytes));
}

/* Marks, sizes and warning times that were written since are no damage. */
TEST(a_file_with_marks_is_left_as_it_is)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf marked = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	buf_add_str(&marked, buf_str(&bytes));
	char *recipient = memmem(marked.p, marked.len, "R\tb@example", 11);
	assert_non_null(recipient);
	*recipient = RECORD_DONE;
	marked.p[10] = '9';
	char *warn = memmem(marked.p, marked.len, "           1000", 15);
	assert_non_null(warn);
	warn[0] = '-';
	put_file("active/" ID, buf_str(&marked), 0700);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover().complete, 1);
	assert_file("active/" ID, buf_str(&marked));
}

TEST(other_bytes_of_the_same_length_are_damage)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf zeros = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf changed = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	buf_add_fill(&zeros, '\0', bytes.len);
	put_file("incoming/" ID, buf_str(&zeros), 0700);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover().restored, 1);
	assert_file("incoming/" ID, buf_str(&bytes));
	make_message(&changed, arrival, "tex-");
	put_file("incoming/" ID, buf_str(&changed), 0700);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover().restored, 1);
	assert_file("incoming/" ID, buf_str(&bytes));
}

TEST(what_was_over_does_not_come_back)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	struct segment *held = record(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	note(SEGMENT_REMOVED, arrival, STR_EMPTY);
	segment_close(held);
	assert_int_equal(recover().messages, 0);
	assert_int_not_equal(access("incoming/" ID, F_OK), 0);
}

TEST(a_removal_that_the_disk_forgot_is_done_again)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	put_file("active/" ID, buf_str(&bytes), 0700);
	struct segment *held = record(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	note(SEGMENT_REMOVED, arrival, STR_EMPTY);
	segment_close(held);
	assert_int_equal(recover().removed, 1);
	assert_int_not_equal(access("active/" ID, F_OK), 0);
}

/* A checkpoint has covered the message, so only its note is left. */
TEST(a_note_counts_without_its_record)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	struct timeval before = arrival;
	before.tv_usec++;
	enter_queue();
	make_message(&bytes, arrival, "text");
	put_file("active/" ID, buf_str(&bytes), 0700);
	note(SEGMENT_REMOVED, before, STR_EMPTY);
	assert_int_equal(recover().removed, 0);
	assert_file("active/" ID, buf_str(&bytes));
	note(SEGMENT_REMOVED, arrival, STR_EMPTY);
	assert_int_equal(recover().removed, 1);
	assert_int_not_equal(access("active/" ID, F_OK), 0);
}

TEST(a_later_message_of_the_same_id_is_not_touched)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf later = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	make_message(&later,
	    (struct timeval){.tv_sec = arrival.tv_sec + 1, .tv_usec = arrival.tv_usec},
	    "text");
	put_file("active/" ID, buf_str(&later), 0700);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover().restored, 0);
	assert_file("active/" ID, buf_str(&later));
	assert_int_not_equal(access("incoming/" ID, F_OK), 0);
}

/* The file is the message's by its name; its bytes did not reach the disk, and those of
 * the message that lay in its slot before are still there. */
TEST(an_earlier_message_in_its_place_is_damage)
{
	struct timeval before = {arrival.tv_sec, arrival.tv_usec - 1};
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
	CLEANUP(buf_free) struct buf other = BUF_INIT(10000);
	make_message(&bytes, arrival, "hello");
	make_message(&other, before, "good day");
	for (int marked = 0; marked < 2; marked++) {
		if (marked)
			other.p[0] = QUEUE_OVER;
		enter_queue();
		note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
		put_file("active/" ID, buf_str(&other), QUEUE_MODE_READY);
		assert_int_equal(recover().restored, 1);
		assert_file("incoming/" ID, buf_str(&bytes));
		assert_int_equal(access("active/" ID, F_OK), -1);

		enter_queue();
		struct segment *held = record(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
		note(SEGMENT_REMOVED, arrival, STR_EMPTY);
		segment_close(held);
		put_file("active/" ID, buf_str(&other), QUEUE_MODE_READY);
		assert_int_equal(recover().removed, 1);
		assert_int_equal(access("active/" ID, F_OK), -1);
	}
}

TEST(before_the_checkpoint_the_queues_are_right)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	CLEANUP(file_close) int dir = open_commit();
	assert_int_equal(checkpoint_make(dir, segment_now()), 0);
	assert_int_equal(recover().messages, 0);
	assert_int_not_equal(access("incoming/" ID, F_OK), 0);
}

/* It was cut off between the second name of a file and the end of its first. */
TEST(what_the_run_before_left_half_named_is_not_written_over)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf other = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	make_message(&other, arrival, "restored before");
	put_file("commit/restoring", buf_str(&other), 0700);
	assert_int_equal(link("commit/restoring", "incoming/FEDCB321"), 0);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover().restored, 1);
	assert_file("incoming/" ID, buf_str(&bytes));
	assert_file("incoming/FEDCB321", buf_str(&other));
}

/* Each call that can fail fails once: recovery says so, and the next run succeeds. */
TEST(recovery_that_fails_anywhere_can_be_run_again)
{
	static const enum fault_point points[] = {
	    FAULT_OPEN, FAULT_READ, FAULT_WRITE, FAULT_FSYNC, FAULT_RENAME, FAULT_CHMOD};
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	enter_queue();
	make_message(&bytes, arrival, "text");
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		unsigned failures = 0;
		for (unsigned n = 1;; n++) {
			struct recover_report report;
			CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
			note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
			fault_set(points[i], n, false, EIO);
			int result = recover_run(&report, &error);
			bool hit = fault_count(points[i]) >= n;
			fault_set(points[i], 0, false, 0);
			assert_int_equal(result<0, error.len> 0);
			failures += result < 0;
			if (result < 0)
				(void)recover();
			assert_file("incoming/" ID, buf_str(&bytes));
			assert_int_equal(unlink("incoming/" ID), 0);
			if (!hit)
				break;
		}
		assert_true(failures > 0);
	}
}

static int no_segment(UNUSED void *context, UNUSED int fd)
{
	return -EEXIST;
}

TEST(a_clean_stop_leaves_plain_files_only)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1 << 16);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	enter_queue();
	make_message(&bytes, arrival, "text");
	put_file("incoming/" ID, buf_str(&bytes), 0700);
	note(SEGMENT_MESSAGE, arrival, buf_str(&bytes));
	assert_int_equal(recover_finish(&error), 0);
	CLEANUP(file_close) int dir = open_commit();
	assert_int_equal(segment_each(dir, no_segment, NULL, NULL), 0);
	assert_file("incoming/" ID, buf_str(&bytes));
	assert_int_equal(recover().messages, 0);
}
