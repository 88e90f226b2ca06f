#include "queue/commit_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "queue/queue_id.h"
#include "queue/queue_write.h"
#include "unit.h"

static const struct timeval arrival = {.tv_sec = 1700000000, .tv_usec = 4711};

static struct commit_slots *open_slots(void)
{
	struct commit_slots *s = NULL;
	assert_int_equal(commit_slots_open(&s), 0);
	return s;
}

static struct commit_slots *enter(void)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("active", 0700), 0);
	return open_slots();
}

static void fill(const struct slot_file *f, struct timeval when)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(200);
	record_write(&bytes, RECORD_SIZE, STR("1 2 3"));
	queue_time_record(&bytes, when);
	assert_int_equal(file_write_all_at(f->fd, bytes.p, bytes.len, 0), 0);
}

/* A message that was accepted. */
static struct slot_file *put(struct commit_slots *s, struct timeval when, int64_t stamp)
{
	struct slot_file *f = commit_slots_take(s);
	assert_non_null(f);
	queue_id_make(f->message.id, when, f->inode, false);
	fill(f, when);
	f->stamp = stamp;
	commit_slots_accepted(s, f, when);
	return f;
}

static void settle(const struct commit_message *m)
{
	assert_int_equal(commit_message_end(m->place, str_of(m->id)), 0);
}

TEST(a_slot_is_used_again_when_its_message_is_over)
{
	struct commit_slots *s = enter();
	struct commit_message m = put(s, arrival, 1)->message;
	assert_int_equal(commit_message_lies(&m), 1);
	assert_true(commit_slots_waiting(s));
	struct slot_file *other = commit_slots_take(s);
	assert_int_not_equal(other->message.place, m.place);
	commit_slots_give_back(s, other);
	settle(&m);
	assert_int_equal(commit_message_lies(&m), 0);
	assert_false(commit_slots_owe(s, INT64_MAX));
	assert_false(commit_slots_waiting(s));
	assert_int_equal(commit_slots_take(s)->message.place, other->message.place);
	assert_int_equal(commit_slots_take(s)->message.place, m.place);
	commit_slots_close(s);
}

static off_t size_at(uint64_t place)
{
	char path[QUEUE_PLACE_MAX];
	struct stat status;
	queue_place_path(path, place);
	assert_int_equal(stat(path, &status), 0);
	return status.st_size;
}

/* Written over the one before, which was longer; a large one leaves nothing. */
TEST(of_an_earlier_message_nothing_is_left)
{
	char bytes[20000];
	struct commit_slots *s = enter();
	memset(bytes, 'N', sizeof(bytes));
	struct slot_file *f = commit_slots_take(s);
	queue_id_make(f->message.id, arrival, f->inode, false);
	fill(f, arrival);
	off_t front = size_at(f->message.place);
	assert_int_equal(file_write_all_at(f->fd, bytes, 100, front), 0);
	assert_int_equal(commit_slots_written(f, front + 100), 0);
	commit_slots_accepted(s, f, arrival);
	struct commit_message m = f->message;
	settle(&m);
	assert_int_equal(size_at(m.place), front + 100);
	struct slot_file *again = put(s, arrival, 1);
	assert_ptr_equal(again, f);
	assert_int_equal(size_at(m.place), front + 100);
	assert_int_equal(commit_slots_written(again, front), 0);
	assert_int_equal(size_at(m.place), front);
	assert_int_equal(commit_message_lies(&m), 1);
	assert_int_equal(file_write_all_at(again->fd, bytes, sizeof(bytes), front), 0);
	settle(&m);
	assert_int_equal(size_at(m.place), 0);
	assert_ptr_equal(commit_slots_take(s), f);
	commit_slots_close(s);
}

TEST(slots_are_used_while_a_message_lies_in_one)
{
	struct commit_slots *s = enter();
	assert_false(commit_slots_used());
	struct slot_file *f = put(s, arrival, 1);
	assert_true(commit_slots_used());
	assert_int_equal(commit_message_end_open(f->fd, f->size), 0);
	assert_false(commit_slots_used());
	assert_int_equal(commit_message_lies(&f->message), 0);
	assert_false(commit_slots_owe(s, 1));
	commit_slots_close(s);
}

/* Its file belongs to a queue, and afterwards to the pool: empty, and none of ours. */
TEST(a_slot_whose_file_got_a_name_is_forgotten)
{
	char path[QUEUE_PATH_MAX];
	struct commit_slots *s = enter();
	for (int64_t owed = 0; owed < 2; owed++) {
		struct commit_message m = put(s, arrival, 1)->message;
		queue_place_path(path, m.place);
		assert_int_equal(queue_move(str_of(m.id), path, QUEUE_ACTIVE), 0);
		queue_path(path, QUEUE_ACTIVE, str_of(m.id));
		assert_int_equal(truncate(path, 0), 0);
		if (owed)
			assert_false(commit_slots_owe(s, 1));
		struct slot_file *f = commit_slots_take(s);
		assert_int_not_equal(f->message.place, m.place);
		assert_false(commit_slots_waiting(s));
		commit_slots_forget(s, f);
		assert_int_equal(unlink(path), 0);
	}
	commit_slots_close(s);
}

TEST(a_later_message_at_a_place_is_not_taken_for_the_one_before)
{
	struct commit_slots *s = enter();
	struct commit_message old = put(s, arrival, 1)->message;
	settle(&old);
	/* The same microsecond of a later second: short ids come again. */
	struct timeval later = {arrival.tv_sec + 1, arrival.tv_usec};
	struct commit_message new = put(s, later, 2)->message;
	assert_int_equal(new.place, old.place);
	assert_string_equal(new.id, old.id);
	assert_int_equal(commit_message_lies(&old), 0);
	assert_int_equal(commit_message_lies(&new), 1);
	/* Another inode at that number. */
	struct commit_message strange = new;
	queue_id_make(strange.id, later, 12345, false);
	assert_int_equal(commit_message_lies(&strange), 0);
	assert_int_equal(commit_message_end(strange.place, str_of(strange.id)), -ENOENT);
	assert_int_equal(commit_message_lies(&new), 1);
	commit_slots_close(s);
}

TEST(a_slot_that_somebody_still_reads_is_not_used)
{
	char path[QUEUE_PLACE_MAX];
	struct commit_slots *s = enter();
	struct commit_message m = put(s, arrival, 1)->message;
	queue_place_path(path, m.place);
	CLEANUP(file_close) int reader = file_open_at(AT_FDCWD, path, O_RDONLY, 0);
	assert_int_equal(file_try_lock(reader, FILE_LOCK_SHARED), 0);
	settle(&m);
	assert_null(commit_slots_take(s));
	file_close(&reader);
	assert_int_equal(commit_slots_take(s)->message.place, m.place);
	commit_slots_close(s);
}

TEST(a_segment_is_owed_until_its_messages_are_settled)
{
	struct commit_slots *s = enter();
	assert_false(commit_slots_owe(s, 100));
	struct commit_message m = put(s, arrival, 50)->message;
	assert_false(commit_slots_owe(s, 49));
	assert_true(commit_slots_owe(s, 50));
	settle(&m);
	assert_false(commit_slots_owe(s, 50));
	/* Written, and not told its writer yet. */
	struct slot_file *f = commit_slots_take(s);
	assert_false(commit_slots_owe(s, 100));
	f->stamp = 60;
	assert_false(commit_slots_owe(s, 59));
	assert_true(commit_slots_owe(s, 60));
	commit_slots_give_back(s, f);
	assert_false(commit_slots_owe(s, 60));
	commit_slots_close(s);
}

static void count(void *context, UNUSED const struct commit_message *m)
{
	(*(unsigned *)context)++;
}

TEST(what_somebody_waits_for_is_late_at_once_and_once_a_second)
{
	unsigned late = 0;
	struct commit_slots *s = enter();
	struct slot_file *f = put(s, arrival, 50);
	commit_slots_late(s, count, &late);
	assert_int_equal(late, 0);
	assert_true(commit_slots_owe(s, 50));
	commit_slots_late(s, count, &late);
	commit_slots_late(s, count, &late);
	assert_int_equal(late, 1);
	f->asked -= 2000;
	commit_slots_late(s, count, &late);
	assert_int_equal(late, 2);
	/* Without: after a second. */
	f = put(s, arrival, 51);
	commit_slots_late(s, count, &late);
	assert_int_equal(late, 2);
	f->since -= 2000;
	commit_slots_late(s, count, &late);
	assert_int_equal(late, 3);
	commit_slots_close(s);
}

TEST(slots_are_crowded_when_all_of_them_wait)
{
	struct commit_slots *s = enter();
	clock_fake_start(1700000000);
	struct commit_message first = put(s, arrival, 1)->message;
	unsigned count = 1;
	for (; !commit_slots_crowded(s) && count < 10000; count++)
		(void)put(s, arrival, 1);
	assert_in_range(count, 100, 1000);
	assert_null(commit_slots_take(s));
	/* The answer is as of this millisecond. */
	settle(&first);
	assert_true(commit_slots_crowded(s));
	clock_fake_advance_ms(1);
	assert_false(commit_slots_crowded(s));
	struct slot_file *f = commit_slots_take(s);
	assert_int_equal(f->message.place, first.place);
	clock_fake_advance_ms(1);
	assert_true(commit_slots_crowded(s));
	commit_slots_retire(s);
	assert_false(commit_slots_crowded(s));
	commit_slots_close(s);
	clock_fake_stop();
}

TEST(the_next_process_takes_the_free_files_and_no_others)
{
	struct commit_slots *s = enter();
	struct commit_message full = put(s, arrival, 1)->message;
	struct commit_message over = put(s, arrival, 2)->message;
	settle(&over);
	struct commit_slots *other = open_slots();
	struct commit_message elsewhere = commit_slots_take(other)->message;
	assert_int_not_equal(elsewhere.place >> 32, full.place >> 32);
	commit_slots_close(other);
	commit_slots_close(s);
	s = open_slots();
	struct slot_file *f = commit_slots_take(s);
	assert_int_equal(f->message.place, over.place);
	assert_int_equal(f->size, size_at(over.place));
	assert_true(commit_slots_take(s)->message.place > over.place);
	assert_int_equal(commit_message_lies(&full), 1);
	commit_slots_close(s);
}

TEST(retired_slots_leave_their_files_to_the_next)
{
	struct commit_slots *s = enter();
	struct slot_file *f = commit_slots_take(s);
	uint64_t place = f->message.place;
	commit_slots_give_back(s, f);
	commit_slots_retire(s);
	assert_null(commit_slots_take(s));
	commit_slots_close(s);
	s = open_slots();
	assert_int_equal(commit_slots_take(s)->message.place, place);
	commit_slots_close(s);
	assert_int_equal(commit_slots_empty(), 0);
}

TEST(emptying_removes_what_is_there)
{
	struct commit_slots *s = enter();
	struct commit_message m = put(s, arrival, 1)->message;
	commit_slots_close(s);
	assert_int_equal(commit_slots_empty(), 0);
	assert_int_equal(commit_message_lies(&m), 0);
	assert_int_equal(commit_slots_empty(), 0);
}

TEST(a_place_has_one_path)
{
	char path[QUEUE_PLACE_MAX];
	static const uint16_t directories[] = {0, 7, UINT16_MAX};
	static const uint32_t numbers[] = {0, 12, UINT32_MAX - 1};
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 3; j++) {
			uint64_t place = queue_place(directories[i], numbers[j]);
			assert_int_not_equal(place, 0);
			assert_int_equal(queue_place_number(place), numbers[j]);
			queue_place_path(path, place);
			assert_int_equal(queue_place_of(str_of(path)), place);
		}
	static const char *const wrong[] = {"", "incoming", "commit/slots",
	    "commit/slots/", "commit/slots/1", "commit/slots/1/", "commit/slots/1/2/3",
	    "commit/slots/1/../2", "commit/slots/01/2", "commit/slots//2",
	    "commit/slots/65536/1", "commit/slots/1/4294967296", "commit/slots/-1/1",
	    "commit/slots/1/2 ", "../commit/slots/1/2"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(queue_place_of(str_of(wrong[i])), 0);
}
