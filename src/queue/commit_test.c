#include "queue/commit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "queue/commit_pool.h"
#include "queue/commit_segment.h"
#include "queue/commit_slots.h"
#include "queue/queue_dir.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

static void enter_queue(void)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("incoming", 0700), 0);
	assert_int_equal(mkdir("maildrop", 0730), 0);
	assert_int_equal(mkdir("hold", 0700), 0);
	assert_int_equal(mkdir("active", 0700), 0);
	assert_int_equal(mkdir("deferred", 0700), 0);
	queue_dir_configure(STR(""), 0);
}

static unsigned files_in(const char *queue)
{
	unsigned count = 0;
	DIR *dir = opendir(queue);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += e->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

static unsigned files_in_pool(void)
{
	unsigned count = 0;
	char path[64];
	for (unsigned i = 0; i < 16; i++) {
		(void)snprintf(path, sizeof(path), COMMIT_POOL "/%u", i);
		count += files_in(path);
	}
	return count;
}

static void assert_file(
    const char *queue, const char *id, mode_t mode, struct str content)
{
	char path[QUEUE_PATH_MAX];
	struct stat status;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4 << 20);
	queue_path(path, queue, str_of(id));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, mode);
	assert_int_equal(file_read_whole(AT_FDCWD, path, &bytes), 0);
	assert_true(str_equal(buf_str(&bytes), content));
	assert_true(queue_id_has_inode(str_of(id), status.st_ino));
}

static struct commit *open_engine(enum commit_kind kind)
{
	struct commit *c = NULL;
	struct commit_options options = {.engine = COMMIT_FILE, .kind = kind};
	assert_int_equal(commit_open(&options, &c), 0);
	return c;
}

TEST(a_message_is_reserved_written_and_made_ready)
{
	char id[QUEUE_ID_MAX];
	struct commit_slot *slot = NULL;
	struct why why;
	why_init(&why);
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	(void)snprintf(id, sizeof(id), "%s", commit_id(slot));
	assert_true(queue_id_valid(str_of(id)));
	assert_int_equal(files_in("incoming"), 0);
	assert_true(commit_add(slot, STR("....text"), &why));
	assert_true(commit_patch(slot, 0, STR("size"), &why));
	assert_int_equal(files_in("incoming"), 0);
	assert_true(commit_finish(slot, commit_time(slot), false, NULL, &why));
	assert_file(QUEUE_INCOMING, id, 0700, STR("sizetext"));
	assert_int_equal(files_in("incoming"), 1);
	assert_int_equal(files_in_pool(), 0);
	commit_close(c);
	why_free(&why);
}

TEST(a_large_message_is_written_piece_by_piece)
{
	char id[QUEUE_ID_MAX];
	struct commit_slot *slot = NULL;
	struct why why;
	CLEANUP(buf_free) struct buf piece = BUF_INIT(COMMIT_MEMORY * 2);
	CLEANUP(buf_free) struct buf all = BUF_INIT(4 << 20);
	why_init(&why);
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	(void)snprintf(id, sizeof(id), "%s", commit_id(slot));
	static const size_t sizes[] = {100, COMMIT_MEMORY - 100, 1, COMMIT_MEMORY + 1, 5,
	    COMMIT_MEMORY, COMMIT_MEMORY};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		buf_clear(&piece);
		buf_add_fill(&piece, (char)('a' + i), sizes[i]);
		buf_add_str(&all, buf_str(&piece));
		assert_true(commit_add(slot, buf_str(&piece), &why));
	}
	/* In the file, across its end and the memory, and in memory. */
	static const size_t offsets[] = {0, 4 * COMMIT_MEMORY - 500};
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		buf_clear(&piece);
		buf_add_fill(&piece, 'Z', 1000);
		size_t room = all.len - offsets[i];
		buf_truncate(&piece, room < 1000 ? room : 1000);
		memcpy(all.p + offsets[i], piece.p, piece.len);
		assert_true(commit_patch(slot, offsets[i], buf_str(&piece), &why));
	}
	assert_true(commit_finish(slot, commit_time(slot), false, NULL, &why));
	assert_file(QUEUE_INCOMING, id, 0700, buf_str(&all));
	commit_close(c);
	why_free(&why);
}

TEST(a_held_message_ends_in_the_hold_queue)
{
	char id[QUEUE_ID_MAX];
	struct commit_slot *slot = NULL;
	enter_queue();
	queue_dir_configure(STR("hold"), 2);
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	(void)snprintf(id, sizeof(id), "%s", commit_id(slot));
	assert_true(commit_add(slot, STR("x"), NULL));
	assert_true(commit_finish(slot, commit_time(slot), true, NULL, NULL));
	assert_file(QUEUE_HOLD, id, 0700, STR("x"));
	assert_int_equal(files_in("incoming"), 0);
	commit_close(c);
	queue_dir_configure(STR(""), 0);
}

TEST(a_maildrop_file_can_be_read_by_pickup)
{
	char id[QUEUE_ID_MAX];
	struct commit_slot *slot = NULL;
	enter_queue();
	mode_t mask = umask(022);
	struct commit *c = open_engine(COMMIT_MAILDROP);
	assert_int_equal(commit_reserve(c, &slot), 0);
	(void)snprintf(id, sizeof(id), "%s", commit_id(slot));
	assert_true(commit_add(slot, STR("x"), NULL));
	assert_true(commit_finish(slot, commit_time(slot), false, NULL, NULL));
	assert_file(QUEUE_MAILDROP, id, 0744, STR("x"));
	commit_close(c);
	(void)umask(mask);
}

TEST(a_cancelled_message_leaves_nothing)
{
	struct commit_slot *slot = NULL;
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	assert_true(commit_add(slot, STR("x"), NULL));
	commit_cancel(slot);
	commit_cancel(NULL);
	assert_int_equal(files_in("incoming"), 0);
	/* Its file serves another one. */
	assert_int_equal(files_in_pool(), 1);
	commit_close(c);
}

TEST(long_ids_are_given_when_asked_for)
{
	struct commit *c = NULL;
	struct commit_slot *slot = NULL;
	uint32_t microseconds = 0;
	enter_queue();
	struct commit_options options = {
	    .engine = COMMIT_FILE, .kind = COMMIT_INCOMING, .long_ids = true};
	assert_int_equal(commit_open(&options, &c), 0);
	assert_int_equal(commit_reserve(c, &slot), 0);
	assert_true(queue_id_long_microseconds(str_of(commit_id(slot)), &microseconds));
	assert_int_equal(microseconds, commit_time(slot).tv_usec);
	commit_cancel(slot);
	commit_close(c);
}

TEST(a_message_never_takes_the_place_of_another)
{
	char path[QUEUE_PATH_MAX];
	struct commit_slot *slot = NULL;
	struct why why;
	why_init(&why);
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	queue_path(path, QUEUE_INCOMING, str_of(commit_id(slot)));
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, path, O_CREAT | O_RDWR, 0700);
	assert_int_equal(file_write_all(fd, "old", 3), 0);
	assert_true(commit_add(slot, STR("new"), &why));
	assert_false(commit_finish(slot, commit_time(slot), false, NULL, &why));
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(100);
	assert_int_equal(file_read_whole(AT_FDCWD, path, &bytes), 0);
	assert_true(str_is(buf_str(&bytes), "old"));
	assert_int_equal(files_in_pool(), 0);
	commit_close(c);
	why_free(&why);
}

TEST(an_id_that_its_process_left_is_taken_over)
{
	struct commit_slot *slot = NULL;
	struct commit_slot *other = NULL;
	struct why why;
	why_init(&why);
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_adopt(c, STR("ABCDE123"), &slot), 0);
	assert_int_equal(commit_adopt(c, STR("ABCDE123"), &other), 0);
	assert_string_equal(commit_id(slot), "ABCDE123");
	assert_true(commit_add(slot, STR("x"), &why));
	assert_true(commit_finish(slot, commit_time(slot), false, NULL, &why));
	assert_int_equal(access("incoming/ABCDE123", X_OK), 0);
	/* The second one of that id. */
	assert_true(commit_add(other, STR("y"), &why));
	assert_false(commit_finish(other, commit_time(other), false, NULL, &why));
	assert_int_equal(files_in("incoming"), 1);
	commit_close(c);
	why_free(&why);
}

TEST(an_id_that_a_message_has_is_not_taken_over)
{
	static const char *const queues[] = {"incoming", "active", "deferred", "hold"};
	struct commit_slot *slot = NULL;
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		char path[QUEUE_PATH_MAX];
		queue_path(path, queues[i], STR("AAAAA1"));
		int fd = file_open_at(AT_FDCWD, path, O_CREAT | O_RDWR, 0700);
		assert_true(fd >= 0);
		file_close(&fd);
		assert_int_equal(commit_adopt(c, STR("AAAAA1"), &slot), -EEXIST);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(commit_adopt(c, STR("../hold/x"), &slot), -EINVAL);
	assert_int_equal(files_in_pool(), 0);
	commit_close(c);
}

struct failure {
	enum fault_point point;
	unsigned nth;
	int error;
	const char *reason; /* NULL: the reservation fails */
};

static void check_failure(struct commit *c, const struct failure *f, bool hold)
{
	struct commit_slot *slot = NULL;
	struct why why;
	CLEANUP(buf_free) struct buf want = BUF_INIT(1000);
	why_init(&why);
	fault_set(f->point, f->nth, f->reason == NULL, f->error);
	int error = commit_reserve(c, &slot);
	if (f->reason == NULL) {
		assert_int_equal(error, -f->error);
	} else {
		assert_int_equal(error, 0);
		buf_printf(&want, "%s incoming/%s", f->reason, commit_id(slot));
		assert_true(commit_add(slot, STR("text"), &why));
		assert_false(commit_finish(slot, commit_time(slot), hold, NULL, &why));
		assert_string_equal(why.status, "4.3.0");
		assert_true(str_starts(buf_str(&why.text), buf_str(&want)));
		assert_true(str_ends(buf_str(&why.text), str_of(strerror(f->error))));
	}
	fault_set(f->point, 0, false, 0);
	assert_int_equal(files_in("incoming"), 0);
	assert_int_equal(files_in("hold"), 0);
	assert_int_equal(files_in_pool(), 0);
	why_free(&why);
}

TEST(every_step_that_fails_leaves_no_file_and_says_why)
{
	static const struct failure rows[] = {
	    {FAULT_OPEN, 1, EMFILE, NULL},
	    {FAULT_WRITE, 1, ENOSPC, "write"},
	    {FAULT_RENAME, 1, EIO, "rename"},
	    {FAULT_FSYNC, 1, EIO, "fsync"},
	};
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check_failure(c, &rows[i], false);
		check_failure(c, &rows[i], true);
	}
	commit_close(c);
}

TEST(a_full_disk_is_told_with_the_space_needed)
{
	struct commit_slot *slot = NULL;
	struct why why;
	CLEANUP(buf_free) struct buf text = BUF_INIT(COMMIT_MEMORY * 2);
	why_init(&why);
	enter_queue();
	struct commit *c = open_engine(COMMIT_INCOMING);
	assert_int_equal(commit_reserve(c, &slot), 0);
	buf_add_fill(&text, 'x', COMMIT_MEMORY - 1);
	assert_true(commit_add(slot, buf_str(&text), &why));
	fault_set(FAULT_WRITE, 1, false, ENOSPC);
	assert_false(commit_add(slot, STR("yy"), &why));
	assert_true(str_find_str(buf_str(&why.text), STR("(262143 bytes needed)")) > 0);
	fault_set(FAULT_WRITE, 0, false, 0);
	/* The trouble stays, though the disk would take it now. */
	why_clear(&why);
	assert_false(commit_add(slot, STR("yy"), &why));
	assert_false(commit_patch(slot, 0, STR("yy"), &why));
	assert_false(commit_finish(slot, commit_time(slot), false, NULL, &why));
	assert_string_equal(why.status, "4.3.0");
	assert_int_equal(files_in("incoming"), 0);
	commit_close(c);
	why_free(&why);
}

/* Into a slot, once there is a segment for its record. */
static void put_into_slot(struct commit *c, struct commit_message *message_r)
{
	struct commit_slot *slot = NULL;
	for (message_r->place = 0; message_r->place == 0; fiber_sleep_ms(1)) {
		assert_int_equal(commit_reserve(c, &slot), 0);
		assert_true(commit_add(slot, STR("text"), NULL));
		assert_true(
		    commit_finish(slot, commit_time(slot), false, message_r, NULL));
	}
}

/* The disk takes a part of a large message and then no more. */
static void fail_to_write(struct commit *c)
{
	struct commit_slot *slot = NULL;
	CLEANUP(buf_free) struct buf text = BUF_INIT(COMMIT_MEMORY * 2);
	const struct rlimit part = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
	const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	buf_add_fill(&text, 'x', COMMIT_MEMORY - 1);
	assert_int_equal(commit_reserve(c, &slot), 0);
	assert_true(commit_add(slot, buf_str(&text), NULL));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &part), 0);
	assert_false(commit_add(slot, STR("yy"), NULL));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	commit_cancel(slot);
}

static void spoil_a_slot(void *argument)
{
	struct commit *c = argument;
	char path[QUEUE_PLACE_MAX];
	struct stat status;
	struct commit_message message;
	put_into_slot(c, &message);
	assert_int_equal(commit_message_end(message.place, str_of(message.id)), 0);
	fail_to_write(c);
	put_into_slot(c, &message);
	queue_place_path(path, message.place);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 4);
	assert_int_equal(commit_message_end(message.place, str_of(message.id)), 0);
	while (!commit_retire(c))
		fiber_sleep_ms(1);
}

TEST(what_a_failed_write_left_in_a_slot_is_not_behind_the_next_message)
{
	struct commit *c = NULL;
	struct commit_options options = {.engine = COMMIT_LOG,
	    .kind = COMMIT_INCOMING,
	    .segment_size = SEGMENT_SIZE_MIN};
	enter_queue();
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(commit_open(&options, &c), 0);
	run_main(spoil_a_slot, c);
	commit_close(c);
}

/* What cleanup does unless in_flow_delay is 0. */
static int64_t wait_for_room(struct commit *c)
{
	int64_t began = clock_us();
	commit_await_room(c);
	return (clock_us() - began) / 1000;
}

static void crowd(void *argument)
{
	static struct commit_message all[1000];
	struct commit *c = argument;
	struct commit_slot *slot = NULL;
	size_t count = 1;
	put_into_slot(c, &all[0]);
	assert_in_range(wait_for_room(c), 0, 5);
	/* The last one finds no slot and gets a name. */
	for (; all[count - 1].place != 0; count++) {
		assert_in_range(count, 1, ARRAY_SIZE(all) - 1);
		assert_int_equal(commit_reserve(c, &slot), 0);
		assert_true(commit_add(slot, STR("text"), NULL));
		assert_true(
		    commit_finish(slot, commit_time(slot), false, &all[count], NULL));
	}
	assert_in_range(wait_for_room(c), 10, 5000);
	assert_int_equal(commit_message_end(all[0].place, str_of(all[0].id)), 0);
	commit_await_room(c);
	assert_int_equal(commit_reserve(c, &slot), 0);
	assert_true(commit_add(slot, STR("text"), NULL));
	uint64_t place = all[0].place;
	assert_true(commit_finish(slot, commit_time(slot), false, &all[0], NULL));
	assert_true(all[0].place == place);
	for (size_t i = 0; i < count - 1; i++)
		assert_int_equal(commit_message_end(all[i].place, str_of(all[i].id)), 0);
	while (!commit_retire(c))
		fiber_sleep_ms(1);
}

TEST(new_mail_waits_a_little_while_too_much_is_under_way)
{
	struct commit *c = NULL;
	struct commit_options options = {
	    .engine = COMMIT_LOG, .kind = COMMIT_INCOMING, .segment_size = 8 << 20};
	enter_queue();
	assert_int_equal(commit_open(&options, &c), 0);
	run_main(crowd, c);
	commit_close(c);
}

struct in_fiber {
	bool done[8];
	struct commit *c;
	size_t next, finished;
};

static void one_message(void *argument)
{
	struct in_fiber *x = argument;
	size_t me = x->next++;
	struct commit_slot *slot = NULL;
	if (commit_reserve(x->c, &slot) == 0 && commit_add(slot, STR("x"), NULL))
		x->done[me] = commit_finish(slot, commit_time(slot), false, NULL, NULL);
	x->finished++;
}

static void many_messages(void *argument)
{
	struct in_fiber *x = argument;
	for (size_t i = 0; i < ARRAY_SIZE(x->done); i++)
		if (fiber_start("message", one_message, x) != 0)
			return;
	while (x->finished < ARRAY_SIZE(x->done))
		fiber_sleep_ms(1);
}

TEST(many_fibers_commit_side_by_side)
{
	struct in_fiber x = {0};
	enter_queue();
	x.c = open_engine(COMMIT_INCOMING);
	run_main(many_messages, &x);
	for (size_t i = 0; i < ARRAY_SIZE(x.done); i++)
		assert_true(x.done[i]);
	assert_int_equal(files_in("incoming"), ARRAY_SIZE(x.done));
	commit_close(x.c);
}

TEST(changes_in_other_files_are_made_durable)
{
	enter_queue();
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, "incoming/x", O_CREAT | O_RDWR, 0600);
	assert_int_equal(commit_sync_fd(fd), 0);
	assert_int_equal(commit_sync_name(fd, "incoming"), 0);
	fault_set(FAULT_FSYNC, 1, false, EIO);
	assert_int_equal(commit_sync_fd(fd), -EIO);
	fault_set(FAULT_FSYNC, 0, false, 0);
}
