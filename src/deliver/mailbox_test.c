/* Locks of a mailbox file, and the From_ line, which must be one line whatever the sender
 * is. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "deliver/mailbox_lock.h"
#include "deliver/message_copy.h"
#include "unit.h"

TEST(lock_styles_are_a_list_of_known_words)
{
	unsigned styles = 0;
	assert_true(mailbox_lock_parse(STR("fcntl, dotlock"), &styles));
	assert_int_equal(styles, MAILBOX_LOCK_FCNTL | MAILBOX_LOCK_DOTLOCK);
	assert_true(mailbox_lock_parse(STR("FLOCK"), &styles));
	assert_int_equal(styles, MAILBOX_LOCK_FLOCK);
	assert_false(mailbox_lock_parse(STR(""), &styles));
	assert_false(mailbox_lock_parse(STR("fcntl,lockf"), &styles));
	assert_int_equal(styles, MAILBOX_LOCK_FLOCK);
}

struct place {
	char directory[64], path[80], lock[96];
};

static struct place place_new(void)
{
	struct place p = {.directory = "/tmp/mailbox-test-XXXXXX"};
	assert_non_null(mkdtemp(p.directory));
	(void)snprintf(p.path, sizeof(p.path), "%s/box", p.directory);
	(void)snprintf(p.lock, sizeof(p.lock), "%s.lock", p.path);
	return p;
}

static void place_free(const struct place *p)
{
	(void)unlink(p->lock);
	(void)unlink(p->path);
	assert_int_equal(rmdir(p->directory), 0);
}

static const struct mailbox_lock_rules rules = {
    .styles = MAILBOX_LOCK_FLOCK | MAILBOX_LOCK_FCNTL | MAILBOX_LOCK_DOTLOCK,
    .attempts = 1,
    .delay = 1,
    .stale = 500,
};

TEST(a_dotlock_keeps_others_away_until_it_is_removed_or_stale)
{
	struct place p = place_new();
	struct why why;
	why_init(&why);
	assert_true(mailbox_lock_name(p.path, &rules, &why));
	assert_false(mailbox_lock_name(p.path, &rules, &why));
	assert_string_equal(why.status, "4.2.0");
	assert_int_equal(mailbox_unlock_name(p.path, &rules), 0);
	assert_true(mailbox_lock_name(p.path, &rules, &why));
	const struct timespec old[] = {
	    {.tv_sec = time(NULL) - 501}, {.tv_sec = time(NULL) - 501}};
	assert_int_equal(utimensat(AT_FDCWD, p.lock, old, 0), 0);
	assert_true(mailbox_lock_name(p.path, &rules, &why));
	why_free(&why);
	place_free(&p);
}

TEST(a_lock_name_without_the_style_is_left_alone)
{
	struct place p = place_new();
	const struct mailbox_lock_rules none = {
	    .styles = MAILBOX_LOCK_FCNTL, .attempts = 1, .delay = 1, .stale = 1};
	assert_true(mailbox_lock_name(p.path, &none, NULL));
	assert_int_equal(access(p.lock, F_OK), -1);
	assert_int_equal(mailbox_unlock_name(p.path, &none), 0);
	place_free(&p);
}

/* In another process: whether the file can be locked. */
static bool child_can_lock(const char *path, unsigned style)
{
	const struct mailbox_lock_rules one = {
	    .styles = style, .attempts = 1, .delay = 1, .stale = 1};
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		int fd = file_open_at(AT_FDCWD, path, O_RDWR, 0);
		_exit(mailbox_lock_file(fd, &one, NULL) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(each_lock_of_the_file_is_seen_by_others)
{
	struct place p = place_new();
	static const unsigned styles[] = {MAILBOX_LOCK_FCNTL, MAILBOX_LOCK_FLOCK};
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		const struct mailbox_lock_rules one = {
		    .styles = styles[i], .attempts = 1, .delay = 1, .stale = 1};
		int fd = file_open_at(AT_FDCWD, p.path, O_RDWR | O_CREAT, 0600);
		assert_true(fd >= 0);
		assert_true(mailbox_lock_file(fd, &one, NULL));
		assert_false(child_can_lock(p.path, styles[i]));
		file_close(&fd);
		assert_true(child_can_lock(p.path, styles[i]));
	}
	place_free(&p);
}

TEST(the_from_line_is_one_line_that_readers_recognise)
{
	static const char *const senders[] = {"a@b.test", "a b@c.test", "\"@c.test",
	    "x\\y@c.test", "\xc3\xa9@c.test", "From"};
	for (size_t i = 0; i < ARRAY_SIZE(senders); i++) {
		struct buf line = BUF_INIT(ADDRESS_MAX * 2);
		message_from_line(&line, str_of(senders[i]), 1795318146);
		struct str text = buf_str(&line);
		assert_true(str_starts(text, STR("From ")));
		assert_int_equal(str_find(text, '\n'), (ptrdiff_t)text.len - 1);
		assert_true(str_ends(text, STR(" 2026\n")));
		/* Two blanks and the 24 bytes of ctime. */
		assert_int_equal(text.p[text.len - 26], ' ');
		assert_int_equal(text.p[text.len - 27], ' ');
		buf_free(&line);
	}
	struct buf line = BUF_INIT(ADDRESS_MAX);
	message_from_line(&line, STR_EMPTY, 0);
	assert_true(str_starts(buf_str(&line), STR("From MAILER-DAEMON  ")));
	buf_free(&line);
}
