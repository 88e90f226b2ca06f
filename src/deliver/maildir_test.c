/* Both ways into a maildir: with a name in tmp first, and without. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "deliver/maildir.h"
#include "queue/record.h"
#include "unit.h"

#define BOXES 3
#define TEXT  "Delivered-To: u@box.test\nSubject: x\n\nbody\n"

/* One message on its way into the maildirs 0 to 2 of a directory. */
struct world {
	char boxes[BOXES][200];
	struct delivery delivery;
	struct delivery_recipient request;
	struct delivery_rcpt rcpt;
	struct maildir_job jobs[BOXES];
	struct why whys[BOXES];
};

static int make_queue_file(const char *directory)
{
	char path[200];
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(1000);
	(void)snprintf(path, sizeof(path), "%s/message", directory);
	record_write(&bytes, RECORD_LINE, STR("Subject: x"));
	record_write(&bytes, RECORD_LINE, STR(""));
	record_write(&bytes, RECORD_LINE, STR("body"));
	record_write(&bytes, RECORD_EXTRACTED, STR(""));
	int fd = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0700);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	return fd;
}

static void world_open(struct world *w)
{
	const char *directory = unit_directory();
	*w = (struct world){.request = {.address = STR("u@box.test")}};
	w->rcpt = (struct delivery_rcpt){
	    .request = &w->request, .delivered_to = STR("u@box.test")};
	w->delivery = (struct delivery){
	    .arena = arena_new(65536), .recipients = &w->rcpt, .count = 1};
	int fd = make_queue_file(directory);
	assert_int_equal(queue_file_take(&w->delivery.file, fd), 0);
	for (size_t i = 0; i < BOXES; i++) {
		(void)snprintf(w->boxes[i], sizeof(w->boxes[i]), "%s/%zu/", directory, i);
		w->jobs[i] = (struct maildir_job){.delivery = &w->delivery,
		    .target = {.directory = w->boxes[i],
			.hostname = "host.test",
			.copy_flags = COPY_DELIVERED_TO}};
		why_init(&w->whys[i]);
	}
}

static void world_close(struct world *w)
{
	for (size_t i = 0; i < BOXES; i++)
		why_free(&w->whys[i]);
	queue_file_close(&w->delivery.file);
	arena_free(w->delivery.arena);
}

/* Names in a part of a maildir; the last of them in `path_r`. */
static size_t count_names(const char *box, const char *part, char path_r[300])
{
	size_t count = 0;
	(void)snprintf(path_r, 300, "%s%s", box, part);
	DIR *list = opendir(path_r);
	assert_non_null(list);
	for (const struct dirent *e; (e = readdir(list)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		count++;
		(void)snprintf(path_r, 300, "%s%s/%s", box, part, e->d_name);
	}
	(void)closedir(list);
	return count;
}

static void assert_box(const char *box, size_t messages)
{
	char path[300];
	assert_int_equal(count_names(box, "tmp", path), 0);
	assert_int_equal(count_names(box, "new", path), messages);
	if (messages == 0)
		return;
	struct stat status;
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	assert_int_equal(file_read_whole(AT_FDCWD, path, &text), 0);
	assert_str(buf_str(&text), TEXT);
	assert_int_equal(file_stat_at(AT_FDCWD, path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_nlink, 1);
}

static void make_boxes(struct world *w)
{
	maildir_deliver(w->jobs, w->whys, BOXES);
	for (size_t i = 0; i < BOXES; i++) {
		assert_false(why_is_set(&w->whys[i]));
		assert_box(w->boxes[i], 1);
	}
}

TEST(a_message_comes_into_each_maildir_and_leaves_nothing_in_tmp)
{
	struct world w;
	world_open(&w);
	make_boxes(&w); /* which are not there before */
	maildir_deliver(w.jobs, w.whys, BOXES);
	for (size_t i = 0; i < BOXES; i++)
		assert_box(w.boxes[i], 2);
	world_close(&w);
}

/* The second of three cannot have a file without a name, for either reason. */
TEST(a_file_system_without_unnamed_files_gets_named_ones)
{
	static const int reasons[] = {EOPNOTSUPP, EISDIR};
	struct world w;
	world_open(&w);
	make_boxes(&w);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		fault_set(FAULT_OPEN, 2, false, reasons[i]);
		fault_set(FAULT_RENAME, 100, false, EIO);
		maildir_deliver(w.jobs, w.whys, BOXES);
		assert_int_equal(fault_count(FAULT_RENAME), 1);
		fault_set(FAULT_OPEN, 0, false, 0);
		fault_set(FAULT_RENAME, 0, false, 0);
		for (size_t k = 0; k < BOXES; k++) {
			assert_false(why_is_set(&w.whys[k]));
			assert_box(w.boxes[k], i + 2);
		}
	}
	world_close(&w);
}

TEST(a_message_that_gets_no_name_is_in_no_part_of_its_maildir)
{
	static const enum fault_point points[] = {FAULT_LINK, FAULT_RENAME};
	struct world w;
	world_open(&w);
	make_boxes(&w);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		if (points[i] == FAULT_RENAME)
			fault_set(FAULT_OPEN, 2, false, EOPNOTSUPP);
		fault_set(points[i], points[i] == FAULT_LINK ? 2 : 1, false, ENOSPC);
		maildir_deliver(w.jobs, w.whys, BOXES);
		fault_set(points[i], 0, false, 0);
		fault_set(FAULT_OPEN, 0, false, 0);
		assert_false(why_is_set(&w.whys[0]));
		assert_string_equal(w.whys[1].status, "4.3.1");
		assert_false(why_is_set(&w.whys[2]));
		assert_box(w.boxes[0], i + 2);
		assert_box(w.boxes[1], 1);
		assert_box(w.boxes[2], i + 2);
		why_free(&w.whys[1]);
		why_init(&w.whys[1]);
	}
	world_close(&w);
}

TEST(tmp_may_be_a_symbolic_link)
{
	char path[300], real[300];
	struct world w;
	world_open(&w);
	make_boxes(&w);
	(void)snprintf(path, sizeof(path), "%stmp", w.boxes[0]);
	(void)snprintf(real, sizeof(real), "%stemporary", w.boxes[0]);
	assert_int_equal(rename(path, real), 0);
	assert_int_equal(symlink(real, path), 0);
	maildir_deliver(w.jobs, w.whys, 1);
	assert_false(why_is_set(&w.whys[0]));
	assert_box(w.boxes[0], 2);
	world_close(&w);
}
