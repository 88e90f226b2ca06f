/*
 * postcat: shows queue files in readable form.
 *
 * Reads files that anybody may have written, as the user who runs it (root for the
 * queue); the strict record reader stands between. Changes nothing; nothing is lost if it
 * dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "postcat/print.h"
#include "queue/queue_dir.h"
#include "service/command.h"

static const struct command command = {.name = "postcat", .fatal_status = 1};

struct request {
	struct print_options print;
	bool search; /* names are queue ids */
	const char *directory;
	int verbosity;
};

NORETURN static void usage(void)
{
	fatal(
	    "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] "
	    "[-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]");
}

static void take_option(struct request *r, int option, const char *argument)
{
	switch (option) {
	case 'b':
		r->print.body = true;
		break;
	case 'c':
		r->directory = argument;
		break;
	case 'd':
		r->print.types = true;
		break;
	case 'e':
		r->print.envelope = true;
		break;
	case 'f':
		break; /* accepted; every readable file is shown anyway */
	case 'h':
		r->print.header = true;
		break;
	case 'o':
		r->print.offsets = true;
		break;
	case 'q':
		r->search = true;
		break;
	case 'r':
		r->print.raw = true;
		break;
	case 's':
		if (!str_to_range(str_of(argument), 0, INT64_MAX, &r->print.start))
			fatal("bad offset: %s", argument);
		break;
	case 'v':
		r->print.verbose = true;
		r->verbosity++;
		break;
	default:
		usage();
	}
}

static void show(const struct request *r, int fd, const char *name)
{
	enum print_result result = print_file(stdout, fd, name, &r->print);
	if (fflush(stdout) != 0)
		fatal("write error: %s", strerror(errno));
	if (result == PRINT_NOT_A_QUEUE_FILE)
		log_warning("%s: input is not a valid queue file", name);
	else if (result == PRINT_READ_ERROR)
		fatal("record read error");
}

/* Pointers need a file that can be read at any offset. */
static int seekable_stdin(void)
{
	char bytes[8192];
	if (lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0)
		return STDIN_FILENO;
	FILE *copy = tmpfile();
	if (copy == NULL)
		fatal("temporary file: %s", strerror(errno));
	for (;;) {
		ssize_t got = file_read_some(STDIN_FILENO, bytes, sizeof(bytes));
		if (got < 0)
			fatal("read stdin: %s", strerror((int)-got));
		if (got == 0)
			break;
		int error = file_write_all(fileno(copy), bytes, (size_t)got);
		if (error < 0)
			fatal("temporary file: %s", strerror(-error));
	}
	return fileno(copy);
}

static bool is_name(const char *id)
{
	for (const char *p = id; *p != '\0'; p++)
		if (!ascii_is_alnum(*p) && *p != '_')
			return false;
	return *id != '\0' && strlen(id) < QUEUE_ID_MAX;
}

#define SEARCHES 3 /* a message may move to a queue that was searched already */

static int find_in_queue(const char *id, char path[QUEUE_PATH_MAX])
{
	static const char *const queues[] = {QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_ACTIVE,
	    QUEUE_DEFERRED, QUEUE_HOLD, QUEUE_CORRUPT};
	if (!is_name(id))
		fatal("bad mail queue ID: %s", id);
	for (int i = 0; i < SEARCHES; i++) {
		for (size_t q = 0; q < ARRAY_SIZE(queues); q++) {
			int fd = queue_open(queues[q], str_of(id), O_RDONLY, (uid_t)-1);
			queue_path(path, queues[q], str_of(id));
			if (fd != -ENOENT)
				return fd;
		}
	}
	return -ENOENT;
}

static void show_named(const struct request *r, const char *name)
{
	char path[QUEUE_PATH_MAX];
	CLEANUP(file_close)
	int fd = r->search ? find_in_queue(name, path)
			   : file_open_following(name, O_RDONLY, 0);
	if (fd < 0)
		fatal(
		    "open %s%s: %s", r->search ? "queue file " : "", name, strerror(-fd));
	show(r, fd, r->search ? path : name);
}

int main(int argc, char **argv)
{
	struct request r = {0};
	int option = 0;
	log_stderr_name("postcat");
	while ((option = getopt(argc, argv, "bc:defhoqrs:v")) >= 0)
		take_option(&r, option, optarg);
	log_verbose(r.verbosity > 1 ? r.verbosity - 1 : 0);
	command_start(&command, r.directory);
	if (r.search)
		command_enter_queue();
	if (optind == argc)
		show(&r, seekable_stdin(), "stdin");
	for (int i = optind; i < argc; i++)
		show_named(&r, argv[i]);
	log_flush();
	return 0;
}
