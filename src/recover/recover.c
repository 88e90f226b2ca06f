/*
 * recover: brings back what a crash took, from the commit log (doc/commit.md). master
 * runs it (with -w: wait for daemons that are ending) before it opens a socket, and again
 * with -s after a clean stop, so that only plain queue files are left; postsuper and the
 * administrator may run it while the mail system is down.
 *
 * Reads from strangers: the text of messages, byte for byte, never understood. Runs as
 * mail_owner. It may die at any time and be run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
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

#define PATIENCE_MS 15000
#define NAP_MS      20

/* The daemons of a master that was killed end by themselves, but not in no time. */
static int lock_patiently(int fd, int64_t patience_ms)
{
	int64_t deadline = deadline_after_ms(patience_ms);
	int error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == -EWOULDBLOCK && patience_ms > 0)
		log_info("waiting for processes of an earlier start to end");
	while (error == -EWOULDBLOCK && deadline_left_ms(deadline) > 0) {
		(void)usleep(NAP_MS * 1000);
		error = file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	}
	return error;
}

/* Every daemon holds it shared; nothing may change in the queues while we look. */
static int lock_queue(int64_t patience_ms)
{
	int fd = file_open_at(AT_FDCWD, COMMIT_LOCK, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fatal("open %s: %s", COMMIT_LOCK, strerror(-fd));
	int error = lock_patiently(fd, patience_ms);
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

struct work {
	bool stopped; /* the queues are as the mail system left them just now */
	bool finish;
	int64_t patience_ms;
};

static void recover(const struct work *w)
{
	struct recover_report r;
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	int lock = lock_queue(w->patience_ms);
	/* No record counts then, and what qmgr removed last and did not note any more
	 * does not come back. Where this fails the records are all we have. */
	int settled = w->stopped ? commit_settle() : 0;
	if (settled < 0)
		log_warning("the queue cannot be synced: %s", strerror(-settled));
	if (recover_run(&r, &error) < 0)
		fatal("recovery failed, nothing was given up: %s", buf_cstr(&error));
	report(&r);
	if (w->finish && recover_finish(&error) < 0)
		fatal("clean stop: %s", buf_cstr(&error));
	file_close(&lock);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	struct work work = {.finish = false};
	int option;
	while ((option = getopt(argc, argv, "c:fsw")) != -1) {
		if (option == '?')
			fatal("usage: recover [-c config_dir] [-f] [-s] [-w]");
		if (option == 'c')
			directory = optarg;
		work.stopped = work.stopped || option == 's';
		work.finish = work.finish || option == 'f' || option == 's';
		work.patience_ms = option == 'w' ? PATIENCE_MS : work.patience_ms;
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
		recover(&work);
	return 0;
}
