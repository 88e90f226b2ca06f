/*
 * recover: brings back what a crash took, from the commit log (doc/commit.md). master
 * runs it before it opens a socket, and again with -f after a clean stop, so that only
 * plain queue files are left; postsuper and the administrator may run it while the mail
 * system is down.
 *
 * Reads from strangers: the text of messages, byte for byte, never understood. Runs as
 * mail_owner. It may die at any time and be run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "queue/commit.h"
#include "queue/commit_segment.h"
#include "queue/queue_dir.h"
#include "queue/recover.h"
#include "service/command.h"
#include "service/owner.h"

static const struct command recover_command = {
    .name = "recover",
    .fatal_status = 1,
    .logs = true,
};

/* Every daemon holds it shared; nothing may change in the queues while we look. */
static int lock_queue(void)
{
	int fd = file_open_at(AT_FDCWD, COMMIT_LOCK, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fatal("open %s: %s", COMMIT_LOCK, strerror(-fd));
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == -EWOULDBLOCK)
		fatal("the mail system is running, or some of its processes are");
	if (error < 0)
		fatal("lock %s: %s", COMMIT_LOCK, strerror(-error));
	return fd;
}

static void report(const struct recover_report *r)
{
	if (r->messages + r->removed == 0)
		return;
	log_info(
	    "recovered: %llu messages recorded, %llu whole, %llu written again, %llu "
	    "removed again",
	    (unsigned long long)r->messages, (unsigned long long)r->complete,
	    (unsigned long long)r->restored, (unsigned long long)r->removed);
}

static void recover(bool finish)
{
	struct recover_report r;
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	int lock = lock_queue();
	if (recover_run(&r, &error) < 0)
		fatal("recovery failed, nothing was given up: %s", buf_cstr(&error));
	report(&r);
	if (finish && recover_finish(&error) < 0)
		fatal("clean stop: %s", buf_cstr(&error));
	file_close(&lock);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	bool finish = false;
	int option;
	while ((option = getopt(argc, argv, "c:f")) != -1) {
		if (option == '?')
			fatal("usage: recover [-c config_dir] [-f]");
		if (option == 'c')
			directory = optarg;
		finish = finish || option == 'f';
	}
	command_start(&recover_command, directory);
	command_enter_queue();
	const struct common_params *common = command_common();
	struct owner owner = owner_of(common);
	if (geteuid() == 0)
		owner_become(&owner);
	(void)umask(077);
	queue_dir_configure(
	    str_of(common->hash_queue_names), (unsigned)common->hash_queue_depth);
	/* Made here, so that every daemon finds the lock; where we may not, there is no
	 * log either. */
	if (mkdir(SEGMENT_DIRECTORY, 0700) == 0 || errno == EEXIST)
		recover(finish);
	return 0;
}
