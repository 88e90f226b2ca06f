/*
 * postsuper: maintains the queue: removes, holds, releases, requeues and expires
 * messages, and repairs names and places of files.
 *
 * For the superuser, or the owner of a single-user instance. Reads queue ids from its
 * command line and standard input; nothing of a message is read. Works as mail_owner.
 * If it dies half-way, what was done is done; -s run again ends what -s began.
 */
#include "postsuper/postsuper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "queue/commit.h"
#include "queue/recover.h"
#include "service/command.h"
#include "service/owner.h"

#define REQUESTS_MAX 10000
#define LINE_ROOM    1000
#define ERROR_MAX    4096

static const struct command command = {
    .name = "postsuper", .fatal_status = 1, .logs = true};

struct request {
	char letter; /* d e f h H r */
	const char *id;
};

static struct {
	struct request requests[REQUESTS_MAX];
	size_t count;
	struct structure_work work;
	struct target target;
	bool asked[128]; /* by letter of an action: a summary is due */
	size_t done[128];
} state;

NORETURN static void usage(void)
{
	fatal("usage: postsuper [-c config_dir] [-d queue_id (delete)] "
	      "[-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] "
	      "[-h queue_id (hold)] [-H queue_id (un-hold)] "
	      "[-p (purge temporary files)] [-r queue_id (requeue)] "
	      "[-s (structure fix)] [-S (redundant structure fix)]"
	      "[-v (verbose)] [queue...]");
}

static void add_request(char letter, const char *id)
{
	if (state.count == REQUESTS_MAX)
		fatal("too many queue ids on the command line; use \"-\"");
	state.requests[state.count++] = (struct request){letter, id};
}

static void take_option(int option, const char **directory)
{
	switch (option) {
	case 'c':
		*directory = optarg;
		break;
	case 'p':
		state.work.purge = true;
		break;
	case 'S':
		state.work.strict = true;
		state.work.names = true;
		break;
	case 's':
		state.work.names = true;
		break;
	case 'v':
		log_verbose(log_verbosity() + 1);
		break;
	case '?':
		usage();
	default:
		add_request((char)option, optarg);
		break;
	}
}

static void check_queues(void)
{
	static const char *const known[] = {QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_ACTIVE,
	    QUEUE_DEFERRED, QUEUE_HOLD, QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE,
	    QUEUE_FLUSH};
	for (size_t i = 0; i < state.target.count; i++) {
		size_t k = 0;
		while (
		    k < ARRAY_SIZE(known) && strcmp(known[k], state.target.names[i]) != 0)
			k++;
		if (k == ARRAY_SIZE(known))
			fatal("invalid directory name: %s", state.target.names[i]);
	}
}

static void do_one(const struct action_kind *kind, const char *id, bool check)
{
	if (!queue_id_valid(str_of(id))) {
		if (check)
			log_warning("invalid mail queue id: %s", id);
		return;
	}
	if (!action_one(kind, &state.target, str_of(id)))
		return;
	state.done[(unsigned char)kind->letter]++;
	log_info("%s: %s", id, kind->done);
}

/* -f is two actions: expire where it lies, and release what is held. */
static void do_line(const struct request *r, const char *id)
{
	if (r->letter == 'f') {
		do_one(action_find('e'), id, true);
		do_one(action_find('H'), id, false);
	} else {
		do_one(action_find(r->letter), id, true);
	}
}

static void do_stdin(const struct request *r)
{
	char line[LINE_ROOM];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		size_t len = strcspn(line, "\r\n");
		bool whole = line[len] != '\0' || feof(stdin);
		line[len] = '\0';
		if (!whole)
			fatal("standard input: line is too long");
		do_line(r, line);
		log_flush();
	}
}

static void do_all(char letter)
{
	const struct action_kind *kind = action_find(letter);
	state.done[(unsigned char)letter] += action_all(kind, &state.target);
}

static void do_request(const struct request *r)
{
	bool both = r->letter == 'f';
	state.asked[both ? 'e' : (unsigned char)r->letter] = true;
	state.asked['H'] = state.asked['H'] || both;
	if (strcmp(r->id, "ALL") == 0) {
		do_all(both ? 'e' : r->letter);
		if (both)
			do_all('H');
	} else if (strcmp(r->id, "-") == 0) {
		do_stdin(r);
	} else {
		do_line(r, r->id);
	}
}

static void say_count(const char *what, size_t count)
{
	log_info("%s: %zu message%s", what, count, count == 1 ? "" : "s");
}

static void check_structure(void)
{
	size_t renamed = structure_check(&state.work, &state.target);
	if (renamed == 0)
		return;
	say_count("Renamed to match inode number", renamed);
	log_warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
}

static void check_user(const struct owner *owner)
{
	if (getuid() != 0 && !owner->single_user)
		fatal("use of this command is reserved for the superuser");
}

/* After a crash the commit log knows messages that the queues lack; our checkpoint at the
 * end would have them forgotten. While the mail system runs, master has seen to that;
 * when we cannot tell, nothing is touched. */
static void recover_first(void)
{
	struct recover_report report;
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	CLEANUP(file_close)
	int lock = file_open_at(AT_FDCWD, COMMIT_LOCK, O_RDWR | O_CREAT, 0600);
	if (lock == -ENOENT) /* no directory: there is no commit log */
		return;
	int status = lock < 0 ? lock : file_try_lock(lock, FILE_LOCK_EXCLUSIVE);
	if (status == -EWOULDBLOCK)
		return;
	if (status < 0)
		fatal("lock %s: %s", COMMIT_LOCK, strerror(-status));
	if (recover_run(&report, &error) < 0)
		fatal("recovery failed, nothing was given up: %s", buf_cstr(&error));
}

static void work(void)
{
	static const char summaries[] = "rdehH";
	if (state.work.names || state.work.purge)
		check_structure();
	for (size_t i = 0; i < state.count; i++)
		do_request(&state.requests[i]);
	for (const char *p = summaries; *p != '\0'; p++)
		if (state.asked[(unsigned char)*p])
			say_count(
			    action_find(*p)->summary, state.done[(unsigned char)*p]);
	/* What was deleted or renamed here must not come back after a crash. */
	int error = commit_settle();
	if (error < 0)
		log_warning("sync the queue: %s", strerror(-error));
}

int main(int argc, char **argv)
{
	static char name[] = "postsuper";
	const char *directory = NULL;
	int option;
	log_stderr_name(name);
	fatal_exit_status(command.fatal_status);
	if (argc > 0)
		argv[0] = name; /* getopt shows it */
	while ((option = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) >= 0)
		take_option(option, &directory);
	state.target.names = argv + optind;
	state.target.count = (size_t)(argc - optind);
	check_queues();
	command_start(&command, directory);
	struct owner owner = owner_of(command_common());
	check_user(&owner);
	command_enter_queue();
	owner_become(&owner);
	state.target.owner = owner.uid;
	state.work.long_ids = command_common()->enable_long_queue_ids;
	if (state.count == 0 && !state.work.names && !state.work.purge)
		state.work.names = state.work.purge = true;
	recover_first();
	work();
	log_flush();
	return 0;
}
