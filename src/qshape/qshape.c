/*
 * qshape: for which domains, and how old, is what waits in queues. Reads queue files
 * (strangers' text) strictly, as root or mail_owner; changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "mail/address.h"
#include "qshape/shape.h"
#include "queue/queue_file.h"
#include "service/command.h"

#define PORTION       1000
#define MESSAGE_ARENA (4 * 1024 * 1024)
#define WIDTH_MIN     80
#define USAGE_STATUS  255

static const struct command command = {.name = "qshape", .fatal_status = 1};

struct request {
	struct shape_options shape;
	bool senders;
	const char *directory;
};

NORETURN static void usage(void)
{
	(void)fputs("usage: qshape [-s] [-p] [-m min_subdomains] [-l] [-b bucket_count] "
		    "[-t bucket_time] [-w terminal_width] [-N batch_msg_count] "
		    "[-n batch_top_domains] [-c config_directory] [queue_name ...]\n",
	    stderr);
	exit(USAGE_STATUS);
}

/* 0 and less leave the default. */
static int64_t number(const char *text, int64_t fallback, int64_t most)
{
	int64_t value = 0;
	if (!str_to_range(str_of(text), INT32_MIN, INT32_MAX, &value))
		usage();
	value = value > most ? most : value;
	return value > 0 ? value : fallback;
}

static void take_option(struct request *r, int option, const char *argument)
{
	struct shape_options *o = &r->shape;
	switch (option) {
	case 's':
		r->senders = true;
		break;
	case 'p':
		o->parents = true;
		break;
	case 'm':
		o->min_subdomains = (size_t)number(argument, 1, INT32_MAX);
		break;
	case 'l':
		o->linear = true;
		break;
	case 'b':
		o->buckets =
		    (size_t)number(argument, (int64_t)o->buckets, SHAPE_BUCKETS_MAX);
		break;
	case 't':
		o->bucket_minutes = number(argument, o->bucket_minutes, INT32_MAX);
		break;
	case 'w':
		o->width = (size_t)number(argument, WIDTH_MIN, 10000);
		break;
	case 'N':
	case 'n': /* tables in between are for terminals; ours is there at once */
		(void)number(argument, 1, INT32_MAX);
		break;
	case 'c':
		r->directory = argument;
		break;
	default:
		usage();
	}
}

/* What has no domain stands for itself. */
static void count_address(struct shape *s, struct str address, int64_t age)
{
	char lower[ADDRESS_MAX];
	struct str domain = address_split(address).domain;
	if (domain.p == NULL)
		domain = address;
	size_t len = domain.len < sizeof(lower) ? domain.len : sizeof(lower);
	for (size_t i = 0; i < len; i++)
		lower[i] = ascii_lower(domain.p[i]);
	shape_count(s, (struct str){.p = lower, .len = len}, age);
}

static void count_recipients(struct shape *s, struct queue_file *f, int64_t age)
{
	static struct queue_recipient recipients[PORTION];
	for (int64_t offset = 0; offset >= 0;) {
		struct arena *a = arena_new(MESSAGE_ARENA);
		ssize_t count = queue_file_recipients(f, a, &offset, recipients, PORTION);
		for (ssize_t i = 0; i < count; i++)
			count_address(s, recipients[i].address, age);
		arena_free(a);
		if (count < 0)
			return; /* what could be read counts */
	}
}

/* Files that come and go while we look, or cannot be read, are passed by. */
static void count_message(
    const struct request *r, struct shape *s, const char *queue, const char *id)
{
	struct queue_file f;
	struct queue_envelope e;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1024);
	if (queue_file_open(&f, queue, str_of(id), false, false, (uid_t)-1) != 0)
		return;
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(MESSAGE_ARENA);
	if (queue_file_glance(&f, a, &e, &reason) == 0) {
		int64_t age = clock_wall_seconds() - e.arrival.tv_sec;
		if (!r->senders)
			count_recipients(s, &f, age);
		else if (e.sender.len > 0)
			count_address(s, e.sender, age);
		else
			shape_count(s, STR("MAILER-DAEMON"), age);
	}
	queue_file_close(&f);
}

static void count_queue(const struct request *r, struct shape *s, const char *queue)
{
	char id[QUEUE_ID_MAX];
	struct queue_scan *scan =
	    strlen(queue) < QUEUE_PATH_MAX / 2 ? queue_scan_new(queue) : NULL;
	if (scan == NULL) {
		log_warning("Can't stat %s: %s", queue, strerror(errno));
		return;
	}
	while (queue_scan_next(scan, id))
		count_message(r, s, queue, id);
	queue_scan_free(scan);
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {QUEUE_INCOMING, QUEUE_ACTIVE};
	struct request r = {.shape = {.min_subdomains = 5,
				.buckets = 10,
				.bucket_minutes = 5,
				.width = WIDTH_MIN}};
	int option = 0;
	log_stderr_name("qshape");
	opterr = 0;
	while ((option = getopt(argc, argv, "spm:lb:t:w:N:n:c:")) >= 0)
		take_option(&r, option, optarg);
	if (r.shape.width < WIDTH_MIN)
		r.shape.width = WIDTH_MIN;
	command_start(&command, r.directory);
	command_enter_queue();
	struct shape *s = shape_new(&r.shape);
	for (size_t i = 0; optind == argc && i < ARRAY_SIZE(usual); i++)
		count_queue(&r, s, usual[i]);
	for (int i = optind; i < argc; i++)
		count_queue(&r, s, argv[i]);
	shape_print(stdout, s);
	shape_free(s);
	if (fflush(stdout) != 0)
		fatal("write error: %s", strerror(errno));
	return 0;
}
