#include "queue/queue_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "unit.h"

static void enter_queue(void)
{
	static const char *const names[] = {
	    "maildrop", "incoming", "active", "deferred", "hold", "defer"};
	assert_int_equal(chdir(unit_directory()), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(mkdir(names[i], 0700), 0);
	queue_dir_configure(STR("deferred, defer"), 1);
}

static void put(const char *path)
{
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, path, O_CREAT | O_WRONLY, 0700);
	assert_true(fd >= 0);
}

TEST(paths_hash_by_the_microseconds_of_the_id)
{
	char path[QUEUE_PATH_MAX];
	queue_dir_configure(STR("deferred, defer"), 1);
	queue_path(path, "deferred", STR("6DC6248E"));
	assert_string_equal(path, "deferred/6/6DC6248E");
	queue_path(path, "active", STR("6DC6248E"));
	assert_string_equal(path, "active/6DC6248E");
	queue_path(path, "deferred", STR("4jXFZM5pFNzTr"));
	assert_string_equal(path, "deferred/C/4jXFZM5pFNzTr");
	queue_dir_configure(STR("deferred"), 3);
	queue_path(path, "deferred", STR("4jXFZM5pFNzTr"));
	assert_string_equal(path, "deferred/C/7/8/4jXFZM5pFNzTr");
	queue_path(path, "defer", STR("6DC6248E"));
	assert_string_equal(path, "defer/6DC6248E");
}

TEST(moving_makes_the_hash_directory)
{
	enter_queue();
	put("active/6DC6248E");
	assert_int_equal(queue_move(STR("6DC6248E"), QUEUE_ACTIVE, QUEUE_DEFERRED), 0);
	assert_int_equal(access("deferred/6/6DC6248E", F_OK), 0);
	assert_int_equal(queue_move(STR("6DC6248E"), QUEUE_DEFERRED, QUEUE_ACTIVE), 0);
	assert_int_equal(
	    queue_move(STR("7DC6248E"), QUEUE_ACTIVE, QUEUE_DEFERRED), -ENOENT);
	assert_int_equal(queue_remove(QUEUE_ACTIVE, STR("6DC6248E")), 0);
	assert_int_equal(queue_remove(QUEUE_ACTIVE, STR("6DC6248E")), -ENOENT);
}

TEST(logs_are_made_on_demand)
{
	enter_queue();
	struct stat status;
	int fd = queue_open_log(QUEUE_DEFER, STR("6DC6248E"));
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	file_close(&fd);
	assert_int_equal(access("defer/6/6DC6248E", F_OK), 0);
}

TEST(only_regular_files_of_the_owner_are_opened)
{
	enter_queue();
	put("active/AAAAA1");
	int fd = queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, getuid());
	assert_true(fd >= 0);
	file_close(&fd);
	assert_int_equal(
	    queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, getuid() + 1), -EPERM);
	assert_int_equal(symlink("AAAAA1", "active/AAAAA2"), 0);
	assert_int_equal(
	    queue_open(QUEUE_ACTIVE, STR("AAAAA2"), O_RDONLY, (uid_t)-1), -ELOOP);
	assert_int_equal(mkfifo("active/AAAAA3", 0700), 0);
	assert_int_equal(
	    queue_open(QUEUE_ACTIVE, STR("AAAAA3"), O_RDONLY, (uid_t)-1), -EPERM);
	assert_int_equal(
	    queue_open(QUEUE_ACTIVE, STR("AAAAA4"), O_RDONLY, (uid_t)-1), -ENOENT);
}

TEST(reading_a_message_leaves_its_time_of_access_alone)
{
	const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct stat status;
	char byte;
	enter_queue();
	put("active/AAAAA1");
	int fd = file_open_at(AT_FDCWD, "active/AAAAA1", O_WRONLY, 0);
	assert_int_equal(file_write_all(fd, "C", 1), 0);
	assert_int_equal(futimens(fd, times), 0);
	file_close(&fd);
	fd = queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, getuid());
	assert_int_equal(file_read_at(fd, &byte, 1, 0), 1);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_atim.tv_sec, 1000);
	file_close(&fd);
}

/* Who may not leave the time of access alone. */
TEST(a_message_of_somebody_else_can_be_read)
{
	char byte;
	enter_queue();
	put("active/AAAAA1");
	int fd = file_open_at(AT_FDCWD, "active/AAAAA1", O_WRONLY, 0);
	assert_int_equal(file_write_all(fd, "C", 1), 0);
	assert_int_equal(fchmod(fd, 0744), 0);
	file_close(&fd);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(chmod("active", 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	fd = queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, (uid_t)-1);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(file_read_at(fd, &byte, 1, 0), 1);
	file_close(&fd);
}

TEST(a_second_link_is_tolerated_for_a_minute)
{
	enter_queue();
	put("active/AAAAA1");
	assert_int_equal(link("active/AAAAA1", "hold/AAAAA1"), 0);
	int fd = queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, (uid_t)-1);
	assert_true(fd >= 0);
	file_close(&fd);
	clock_fake_start(clock_wall_seconds() + 100);
	assert_int_equal(
	    queue_open(QUEUE_ACTIVE, STR("AAAAA1"), O_RDONLY, (uid_t)-1), -EPERM);
	clock_fake_stop();
}

TEST(a_scan_finds_ids_in_hashed_directories_of_any_depth)
{
	char id[QUEUE_ID_MAX];
	unsigned seen = 0;
	enter_queue();
	assert_int_equal(mkdir("deferred/A", 0700), 0);
	assert_int_equal(mkdir("deferred/A/B", 0700), 0);
	assert_int_equal(mkdir("deferred/directory", 0700), 0);
	put("deferred/AAAAA0");
	put("deferred/A/AAAAA1");
	put("deferred/A/B/AAAAA2");
	put("deferred/A/1234.5");
	put("deferred/directory/AAAAA3");
	struct queue_scan *scan = queue_scan_new(QUEUE_DEFERRED);
	assert_non_null(scan);
	while (queue_scan_next(scan, id)) {
		assert_int_equal(strlen(id), 6);
		assert_memory_equal(id, "AAAAA", 5);
		seen |= 1u << (id[5] - '0');
	}
	queue_scan_free(scan);
	assert_int_equal(seen, 7);
	scan = queue_scan_new(QUEUE_DEFERRED);
	assert_true(queue_scan_next(scan, id));
	queue_scan_free(scan);
	assert_null(queue_scan_new("nosuch"));
	assert_int_equal(errno, ENOENT);
}

TEST(messages_at_another_depth_are_found)
{
	enter_queue();
	assert_int_equal(mkdir("deferred/6", 0700), 0);
	assert_int_equal(mkdir("deferred/6/D", 0700), 0);
	assert_int_equal(mkdir("incoming/7", 0700), 0);
	put("deferred/6/D/6DC6248E");
	put("deferred/6EC6248E");
	put("incoming/7/7DC6248E");
	assert_int_equal(queue_move(STR("6DC6248E"), QUEUE_DEFERRED, QUEUE_ACTIVE), 0);
	assert_int_equal(access("active/6DC6248E", F_OK), 0);
	CLEANUP(file_close)
	int fd = queue_open(QUEUE_INCOMING, STR("7DC6248E"), O_RDONLY, (uid_t)-1);
	assert_true(fd >= 0);
	assert_int_equal(queue_remove(QUEUE_DEFERRED, STR("6EC6248E")), 0);
	assert_int_equal(queue_remove(QUEUE_DEFERRED, STR("6EC6248E")), -ENOENT);
	assert_int_equal(
	    queue_take_in("incoming/7/7DC6248E", QUEUE_DEFERRED, STR("7DC6248E")), 0);
	assert_int_equal(access("deferred/7/7DC6248E", F_OK), 0);
	put("7DC6248E");
	assert_int_equal(
	    queue_take_in("7DC6248E", QUEUE_DEFERRED, STR("7DC6248E")), -EEXIST);
}
