#include "queue/commit_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/file.h"
#include "queue/commit_checkpoint.h"
#include "queue/commit_slots.h"
#include "queue/queue_id.h"
#include "queue/queue_write.h"
#include "unit.h"

#define FILE_0 "commit/000.log"

static int open_directory(void)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir(SEGMENT_DIRECTORY, 0700), 0);
	int dir = file_open_at(AT_FDCWD, SEGMENT_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
	assert_true(dir >= 0);
	return dir;
}

static struct segment *take(int dir)
{
	struct segment *s = NULL;
	assert_int_equal(segment_take(dir, SEGMENT_SIZE_MIN, &s), 0);
	return s;
}

static struct segment_record message(const char *id, struct str bytes)
{
	return (struct segment_record){.kind = SEGMENT_MESSAGE,
	    .stamp = segment_now(),
	    .id = str_of(id),
	    .arrival = {.tv_sec = 1795318146, .tv_usec = 448913},
	    .bytes = bytes};
}

static void append(struct segment *s, const char *id, struct str bytes)
{
	struct segment_record r = message(id, bytes);
	assert_int_equal(segment_append(s, &r, 1), 0);
}

/* "id:bytes " of every record. */
static int list(void *context, const struct segment_record *r)
{
	buf_printf(context, "%.*s:%.*s ", STR_ARG(r->id), STR_ARG(r->bytes));
	assert_int_equal(r->arrival.tv_sec, 1795318146);
	assert_int_equal(r->arrival.tv_usec, 448913);
	return 0;
}

static void assert_records(const char *path, const char *expected)
{
	CLEANUP(buf_free) struct buf found = BUF_INIT(1 << 20);
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0);
	assert_int_equal(segment_read(fd, list, &found), 0);
	assert_string_equal(buf_cstr(&found), expected);
}

TEST(records_come_back_in_order)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	struct segment_record batch[] = {message("AAAAA1", STR("one")),
	    message("AAAAA2", STR("")), message("AAAAA3", STR("threeeeee"))};
	assert_int_equal(segment_append(s, batch, ARRAY_SIZE(batch)), 0);
	append(s, "AAAAA4", STR("four"));
	segment_close(s);
	assert_records(FILE_0, "AAAAA1:one AAAAA2: AAAAA3:threeeeee AAAAA4:four ");
}

TEST(a_batch_never_touches_a_block_that_holds_something)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	size_t room = segment_room(s);
	append(s, "AAAAA1", STR("one"));
	assert_int_equal(room - segment_room(s), SEGMENT_BLOCK);
	append(s, "AAAAA2", STR("two"));
	assert_int_equal(room - segment_room(s), 2 * SEGMENT_BLOCK);
	segment_close(s);
}

TEST(a_segment_in_use_is_left_to_its_process)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir), *other = take(dir);
	append(s, "AAAAA1", STR("one"));
	append(other, "AAAAA2", STR("two"));
	assert_records(FILE_0, "AAAAA1:one ");
	assert_records("commit/001.log", "AAAAA2:two ");
	segment_close(s);
	segment_close(other);
}

TEST(what_a_dead_process_left_is_made_durable_before_the_segment_is_used_again)
{
	int64_t before = 0, after = 0;
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	segment_close(s); /* as the kernel does it for a dead one */
	assert_int_equal(checkpoint_read(dir, &before), 0);
	int64_t now = segment_now();
	s = take(dir);
	assert_int_equal(checkpoint_read(dir, &after), 0);
	assert_true(before < now && after >= now);
	assert_records(FILE_0, "");
	append(s, "AAAAA2", STR("two"));
	assert_records(FILE_0, "AAAAA2:two ");
	segment_close(s);
}

TEST(a_segment_whose_messages_cannot_be_made_durable_is_not_used_again)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	fault_set(FAULT_FSYNC, 1, false, EIO);
	assert_int_equal(segment_renew(s), -EIO);
	fault_set(FAULT_FSYNC, 0, false, 0);
	/* The disk would take it now, but what is in memory may be lost: until recovery
	 * has looked, nothing is forgotten. */
	assert_int_equal(segment_renew(s), -EIO);
	assert_int_equal(checkpoint_make(dir, segment_now()), -EIO);
	segment_close(s);
	assert_records(FILE_0, "AAAAA1:one ");
	struct segment *next = NULL;
	assert_int_equal(segment_take(dir, SEGMENT_SIZE_MIN, &next), -EIO);
	assert_int_equal(checkpoint_reset(dir), 0);
	assert_int_equal(checkpoint_make(dir, segment_now()), 0);
}

TEST(a_sync_that_failed_is_remembered_where_the_disk_does_not_take_the_note)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir), *next = NULL;
	append(s, "AAAAA1", STR("one"));
	fault_set(FAULT_FSYNC, 1, true, EIO);
	fault_set(FAULT_WRITE, 1, true, EIO);
	assert_int_equal(segment_renew(s), -EIO);
	fault_set(FAULT_FSYNC, 0, false, 0);
	fault_set(FAULT_WRITE, 0, false, 0);
	segment_close(s);
	assert_int_equal(segment_take(dir, SEGMENT_SIZE_MIN, &next), -EIO);
	assert_records(FILE_0, "AAAAA1:one ");
	assert_int_equal(checkpoint_reset(dir), 0);
}

TEST(a_segment_is_left_alone_while_nobody_can_look_where_its_mail_lies)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	struct segment_record r = message("AAAAA1", STR("one"));
	r.place = queue_place(0, 0);
	assert_int_equal(segment_append(s, &r, 1), 0);
	segment_close(s);
	assert_int_equal(mkdir(COMMIT_SLOTS, 0700), 0);
	assert_int_equal(mkdir(COMMIT_SLOTS "/0", 0700), 0);
	assert_int_equal(symlink("elsewhere", COMMIT_SLOTS "/0/0"), 0);
	s = take(dir); /* another one */
	assert_records(FILE_0, "AAAAA1:one ");
	segment_close(s);
	assert_int_equal(unlink(COMMIT_SLOTS "/0/0"), 0);
	s = take(dir);
	assert_records(FILE_0, "");
	segment_close(s);
}

TEST(after_a_failed_sync_a_segment_takes_nothing_more)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	struct segment_record r = message("AAAAA2", STR("two"));
	fault_set(FAULT_FSYNC, 1, false, EIO);
	assert_int_equal(segment_append(s, &r, 1), -EIO);
	fault_set(FAULT_FSYNC, 0, false, 0);
	assert_int_equal(segment_room(s), 0);
	assert_int_equal(segment_append(s, &r, 1), -EMSGSIZE);
	assert_int_equal(segment_renew(s), -EIO);
	segment_close(s);
}

/* Every byte of the second record in turn is not what was written. */
TEST(a_torn_record_is_no_record)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	append(s, "AAAAA2", STR("two"));
	segment_close(s);
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, FILE_0, O_RDWR, 0);
	size_t len = segment_cost(&(struct segment_record){.bytes = STR("two")}) - 5;
	for (size_t i = 0; i < len; i++) {
		char byte, other;
		off_t at = 2 * SEGMENT_BLOCK + (off_t)i;
		assert_int_equal(file_read_at(fd, &byte, 1, at), 1);
		other = (char)(byte ^ 1);
		assert_int_equal(file_write_all_at(fd, &other, 1, at), 0);
		assert_records(FILE_0, "AAAAA1:one ");
		assert_int_equal(file_write_all_at(fd, &byte, 1, at), 0);
	}
	assert_records(FILE_0, "AAAAA1:one AAAAA2:two ");
}

TEST(bytes_of_an_earlier_use_are_not_taken_for_records)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	append(s, "AAAAA2", STR("two"));
	assert_int_equal(segment_renew(s), 0);
	append(s, "AAAAA3", STR("three"));
	segment_close(s);
	assert_records(FILE_0, "AAAAA3:three ");
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, FILE_0, O_RDWR, 0);
	assert_int_equal(segment_invalidate(fd), 0);
	assert_records(FILE_0, "");
}

TEST(foreign_files_have_no_records)
{
	CLEANUP(file_close) int dir = open_directory();
	CLEANUP(buf_free) struct buf zeros = BUF_INIT(1 << 20);
	buf_add_fill(&zeros, '\0', SEGMENT_SIZE_MIN);
	CLEANUP(file_close)
	int fd = file_open_at(dir, "000.log", O_RDWR | O_CREAT, 0600);
	assert_records(FILE_0, "");
	assert_int_equal(file_write_all(fd, "PHSEGMT\n", 8), 0);
	assert_records(FILE_0, "");
	assert_int_equal(file_write_all(fd, zeros.p, zeros.len), 0);
	assert_records(FILE_0, "");
	/* Too short or too long for a segment: filled again. */
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("one"));
	segment_close(s);
	assert_records(FILE_0, "AAAAA1:one ");
}

TEST(without_space_there_is_no_segment_and_nothing_is_kept)
{
	struct segment *s = NULL;
	struct stat status;
	CLEANUP(file_close) int dir = open_directory();
	fault_set(FAULT_WRITE, 1, false, ENOSPC);
	assert_int_equal(segment_take(dir, SEGMENT_SIZE_MIN, &s), -ENOSPC);
	fault_set(FAULT_WRITE, 0, false, 0);
	assert_int_equal(stat(FILE_0, &status), 0);
	assert_int_equal(status.st_size, 0);
	s = take(dir);
	append(s, "AAAAA1", STR("one"));
	segment_close(s);
}

TEST(the_newer_half_of_a_checkpoint_counts)
{
	int64_t first = 0, second = 0, found = 0;
	CLEANUP(file_close) int dir = open_directory();
	assert_int_equal(checkpoint_make(dir, segment_now()), 0);
	assert_int_equal(checkpoint_read(dir, &first), 0);
	/* Somebody did it meanwhile: nothing to do. */
	assert_int_equal(checkpoint_make(dir, first - 1), 0);
	assert_int_equal(checkpoint_read(dir, &found), 0);
	assert_int_equal(found, first);
	assert_int_equal(checkpoint_make(dir, segment_now()), 0);
	assert_int_equal(checkpoint_read(dir, &second), 0);
	assert_true(second > first);
	/* The newer one was torn: the older one stands. */
	CLEANUP(file_close) int fd = file_open_at(dir, "checkpoint", O_RDWR, 0);
	assert_int_equal(file_write_all_at(fd, "torn", 4, 16), 0);
	assert_int_equal(checkpoint_read(dir, &found), 0);
	assert_int_equal(found, first);
}

static bool checkpoint_moves(int dir, struct segment *s)
{
	int64_t before = 0, after = 0;
	assert_int_equal(checkpoint_make(dir, segment_now()), 0);
	assert_int_equal(checkpoint_read(dir, &before), 0);
	assert_int_equal(segment_renew(s), 0);
	assert_int_equal(checkpoint_read(dir, &after), 0);
	return after > before;
}

/* Messages without a name got theirs later than their records were covered. */
TEST(names_that_were_given_meanwhile_are_made_durable_too)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	append(s, "AAAAA1", STR("named at once"));
	assert_false(checkpoint_moves(dir, s));
	struct segment_record r = message("AAAAA2", STR("in a slot"));
	r.place = queue_place(0, 0);
	assert_int_equal(segment_append(s, &r, 1), 0);
	assert_true(checkpoint_moves(dir, s));
	append(s, "AAAAA3", STR("named at once"));
	assert_false(checkpoint_moves(dir, s));
	segment_close(s);
}

TEST(a_segment_with_mail_that_has_no_name_is_passed_by)
{
	CLEANUP(file_close) int dir = open_directory();
	struct segment *s = take(dir);
	struct segment_record r = message("AAAAA1", STR("in a slot"));
	char id[QUEUE_ID_MAX];
	char path[QUEUE_PLACE_MAX];
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(200);
	struct stat status;
	r.place = queue_place(0, 7);
	queue_place_path(path, r.place);
	assert_int_equal(mkdir(COMMIT_SLOTS, 0700), 0);
	assert_int_equal(mkdir(COMMIT_SLOTS "/0", 0700), 0);
	CLEANUP(file_close) int fd = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0700);
	assert_int_equal(fstat(fd, &status), 0);
	queue_id_make(id, r.arrival, status.st_ino, false);
	r.id = str_of(id);
	record_write(&bytes, RECORD_SIZE, STR("1"));
	queue_time_record(&bytes, r.arrival);
	assert_int_equal(file_write_all_at(fd, bytes.p, bytes.len, 0), 0);
	assert_int_equal(segment_append(s, &r, 1), 0);
	segment_close(s);
	/* Not used again before the message is settled. */
	s = take(dir);
	assert_int_equal(access("commit/001.log", F_OK), 0);
	segment_close(s);
	assert_int_equal(unlink("commit/001.log"), 0);
	assert_int_equal(commit_message_end(r.place, r.id), 0);
	s = take(dir);
	assert_int_equal(access("commit/001.log", F_OK), -1);
	segment_close(s);
}
