#include "queue/commit_pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/file.h"
#include "queue/queue_dir.h"
#include "unit.h"

static struct commit_pool *enter(void)
{
	struct commit_pool *p = NULL;
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("active", 0700), 0);
	assert_int_equal(commit_pool_open(&p), 0);
	return p;
}

static void put_file(const char *path, mode_t mode, const char *text)
{
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_EXCL, mode);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

static off_t size_of(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	return status.st_size;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

TEST(a_finished_file_is_used_again_without_its_bytes)
{
	char name[COMMIT_POOL_NAME];
	struct stat status;
	struct commit_pool *p = enter();
	put_file("active/AAAAA1", 0700, "text of an old message");
	assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, STR("AAAAA1")), 0);
	assert_false(exists("active/AAAAA1"));
	struct stat there;
	assert_int_equal(stat("commit/pool/0/AAAAA1", &there), 0);
	assert_int_equal(there.st_size, 0);
	int fd = commit_pool_take(p, name, &status);
	assert_true(fd >= 0);
	assert_string_equal(name, "0/AAAAA1");
	assert_int_equal(size_of(fd), 0);
	/* It is held: there is no other. */
	assert_int_equal(commit_pool_take(p, name, &status), -ENOENT);
	file_close(&fd);
	commit_pool_close(p);
}

TEST(what_a_dead_writer_left_is_cut_off)
{
	char name[COMMIT_POOL_NAME];
	struct stat status;
	struct commit_pool *p = enter();
	put_file("commit/pool/0/1.2", 0700, "half a mess");
	int fd = commit_pool_take(p, name, &status);
	assert_int_equal(size_of(fd), 0);
	file_close(&fd);
	commit_pool_close(p);
}

TEST(what_is_no_free_file_of_ours_is_passed_by)
{
	char name[COMMIT_POOL_NAME];
	struct stat status;
	struct commit_pool *p = enter();
	put_file("commit/pool/0/mode", 0600, "x");
	put_file("commit/pool/0/linked", 0700, "x");
	assert_int_equal(link("commit/pool/0/linked", "elsewhere"), 0);
	assert_int_equal(mkdir("commit/pool/0/directory", 0700), 0);
	assert_int_equal(mkfifo("commit/pool/0/fifo", 0700), 0);
	assert_int_equal(symlink("../../../elsewhere", "commit/pool/0/symlink"), 0);
	put_file("commit/pool/0/held", 0700, "kept");
	CLEANUP(file_close)
	int held = file_open_at(AT_FDCWD, "commit/pool/0/held", O_RDONLY, 0);
	assert_int_equal(file_try_lock(held, FILE_LOCK_EXCLUSIVE), 0);
	assert_int_equal(commit_pool_take(p, name, &status), -ENOENT);
	assert_int_equal(size_of(held), 4);
	commit_pool_close(p);
}

/* Opened while it was free; meanwhile somebody made a message of it. */
TEST(a_file_that_became_a_message_is_left_alone)
{
	char name[COMMIT_POOL_NAME];
	struct stat status;
	struct commit_pool *p = enter();
	put_file("commit/pool/0/a", 0700, "message");
	assert_int_equal(link("commit/pool/0/a", "active/AAAAA1"), 0);
	assert_int_equal(commit_pool_take(p, name, &status), -ENOENT);
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(100);
	assert_int_equal(file_read_whole(AT_FDCWD, "active/AAAAA1", &bytes), 0);
	assert_true(str_is(buf_str(&bytes), "message"));
	commit_pool_close(p);
}

TEST(a_new_file_is_locked_and_empty)
{
	char a[COMMIT_POOL_NAME];
	char b[COMMIT_POOL_NAME];
	struct stat status;
	struct commit_pool *p = enter();
	int first = commit_pool_make(p, a, &status);
	int second = commit_pool_make(p, b, &status);
	assert_true(first >= 0 && second >= 0);
	assert_string_not_equal(a, b);
	assert_int_equal(status.st_size, 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(commit_pool_take(p, a, &status), -ENOENT);
	file_close(&first);
	file_close(&second);
	commit_pool_close(p);
}

/* Somebody's backup by hard links keeps its bytes. */
TEST(a_file_that_is_linked_elsewhere_is_not_used_again)
{
	struct commit_pool *p = enter();
	put_file("active/AAAAA1", 0700, "message");
	assert_int_equal(link("active/AAAAA1", "backup"), 0);
	assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, STR("AAAAA1")), 0);
	assert_false(exists("active/AAAAA1"));
	assert_false(exists("commit/pool/0/AAAAA1"));
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(100);
	assert_int_equal(file_read_whole(AT_FDCWD, "backup", &bytes), 0);
	assert_true(str_is(buf_str(&bytes), "message"));
	commit_pool_close(p);
}

TEST(the_pool_does_not_grow_for_ever)
{
	struct commit_pool *p = enter();
	char path[QUEUE_PATH_MAX];
	unsigned files = 0;
	for (unsigned i = 0; i < 2500; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "A%05X", i);
		queue_path(path, QUEUE_ACTIVE, str_of(id));
		put_file(path, 0700, "");
		assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, str_of(id)), 0);
		assert_false(exists(path));
		(void)snprintf(path, sizeof(path), "%s/%u/%s", COMMIT_POOL, i % 16, id);
		files += exists(path);
	}
	assert_int_equal(files, 1000);
	commit_pool_close(p);
}

TEST(a_file_that_cannot_go_to_the_pool_is_removed)
{
	struct commit_pool *p = enter();
	put_file("active/AAAAA1", 0700, "x");
	put_file("commit/pool/0/AAAAA1", 0700, "x");
	assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, STR("AAAAA1")), 0);
	assert_false(exists("active/AAAAA1"));
	put_file("active/AAAAA2", 0700, "x");
	fault_set(FAULT_RENAME, 1, false, EIO);
	assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, STR("AAAAA2")), 0);
	fault_set(FAULT_RENAME, 0, false, 0);
	assert_false(exists("active/AAAAA2"));
	assert_int_equal(commit_pool_remove(p, QUEUE_ACTIVE, STR("AAAAA3")), -ENOENT);
	commit_pool_close(p);
}

TEST(the_pool_can_be_emptied)
{
	struct commit_pool *p = enter();
	put_file("commit/pool/0/a", 0700, "x");
	put_file("commit/pool/7/b", 0700, "x");
	commit_pool_close(p);
	assert_int_equal(commit_pool_empty(), 0);
	assert_int_equal(rmdir("commit/pool/0"), 0);
	assert_int_equal(rmdir("commit/pool/7"), 0);
	assert_int_equal(rename("commit/pool", "elsewhere"), 0);
	assert_int_equal(commit_pool_empty(), 0);
}
