/*
 * postqueue: lists the queue, or asks for another delivery attempt. Set-group-ID: any
 * user may run it; it trusts neither environment nor arguments. Reads from strangers:
 * what showq says, strictly.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "client/flush_client.h"
#include "client/qmgr_client.h"
#include "client/service_client.h"
#include "mail/address.h"
#include "net/connect.h"
#include "postqueue/listing.h"
#include "postqueue_params.h"
#include "run/loop.h"
#include "service/command.h"
#include "table/match_list.h"

#define PATH_ROOM      4096
#define ANSWER_WAIT_MS 600000
#define FLUSH_WAIT_MS  10000

static struct postqueue_params params;

static const struct command postqueue_command = {
    .name = "postqueue",
    .params = postqueue_param_table,
    .values = &params,
    .fatal_status = 69,
    .logs = true,
};

NORETURN static void usage(void)
{
	fatal(
	    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue "
	    "-s site");
}

/* Root may always. */
static void check_user(const char *title, const char *list, const char *what)
{
	const struct passwd *user = getpwuid(getuid());
	const char *name = user != NULL ? user->pw_name : "unknown";
	if (getuid() == 0)
		return;
	struct match_list *allowed = match_list_open(title, list, MATCH_STRINGS, 0);
	if (match_list_string(allowed, str_of(name)) != TABLE_FOUND)
		fatal("User %s(%d) is not allowed to %s the mail queue", name,
		    (int)getuid(), what);
	match_list_close(allowed);
}

static void check_flush_user(void)
{
	check_user("authorized_flush_users", params.authorized_flush_users, "flush");
}

/* With the mail system down, root (or the owner of an instance) runs showq itself. */
static int showq_alone(int error, pid_t *pid_r)
{
	char path[PATH_ROOM];
	int fds[2];
	if (getuid() != 0 && !command_common()->posthouse_single_user)
		fatal(
		    "Queue report unavailable - mail system is down (Connect to the Postfix showq "
		    "service: %s)",
		    strerror(-error));
	log_warning(
	    "Mail system is down -- accessing queue directly (Connect to the Postfix showq "
	    "service: %s)",
	    strerror(-error));
	log_flush();
	(void)snprintf(
	    path, sizeof(path), "%s/showq", program_daemon_directory(command_common()));
	if (pipe2(fds, O_CLOEXEC) != 0)
		fatal("pipe: %s", strerror(errno));
	*pid_r = fork();
	if (*pid_r == 0) {
		int null = open("/dev/null", O_RDWR);
		if (null >= 0 && dup2(null, 0) == 0 && dup2(fds[1], 1) == 1)
			(void)execl(path, "showq", "-S", (char *)NULL);
		_exit(127);
	}
	if (*pid_r < 0)
		fatal("fork: %s", strerror(errno));
	file_close(&fds[1]);
	return fds[0];
}

/* master takes connections also for a program that cannot be started. One that works
 * greets at once. */
static bool begins_to_answer(int fd)
{
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	int wait_ms = (int)command_common()->trigger_timeout * 1000;
	int ready;
	do
		ready = poll(&answer, 1, wait_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

static int open_listing(pid_t *pid_r)
{
	char path[PATH_ROOM];
	*pid_r = 0;
	(void)snprintf(
	    path, sizeof(path), "public/%s", command_common()->showq_service_name);
	/* Also the longest pause of a server that looks through a huge queue. */
	int fd = net_connect_unix_blocking(path, ANSWER_WAIT_MS);
	if (fd == -ENOENT)
		fd = -ECONNREFUSED; /* the socket goes with master */
	if (fd >= 0 && !begins_to_answer(fd)) {
		file_close(&fd);
		fd = -ETIMEDOUT;
	}
	return fd >= 0 ? fd : showq_alone(fd, pid_r);
}

static void list(listing_printer *print)
{
	pid_t pid;
	check_user("authorized_mailq_users", params.authorized_mailq_users, "view");
	int fd = open_listing(&pid), status = 0;
	struct listing_reader reader;
	listing_reader_init(&reader, fd);
	int error = print(&reader, stdout, command_common()->enable_long_queue_ids);
	listing_reader_free(&reader);
	file_close(&fd);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	if (error != 0)
		fatal("malformed showq server response");
	if (fflush(stdout) != 0)
		fatal("write: %s", strerror(errno));
}

struct flush {
	int error;
};

static void ask_to_flush(void *argument)
{
	struct flush *f = argument;
	const struct common_params *common = command_common();
	struct ipc_client *qmgr =
	    service_client_new(common, SERVICE_PUBLIC, common->queue_service_name);
	struct ipc_client *pickup =
	    service_client_new(common, SERVICE_PUBLIC, common->pickup_service_name);
	uint32_t all =
	    QMGR_FLUSH_DEAD | QMGR_SCAN_ALL | QMGR_SCAN_DEFERRED | QMGR_SCAN_INCOMING;
	f->error = qmgr_trigger_send(qmgr, all, deadline_after_ms(FLUSH_WAIT_MS));
	/* What lies in maildrop is tried too; qmgr decides whether the system is up. */
	if (f->error == 0 &&
	    pickup_wake_send(pickup, deadline_after_ms(FLUSH_WAIT_MS)) != 0)
		log_debug("pickup does not answer");
	ipc_client_free(qmgr);
	ipc_client_free(pickup);
}

static void flush_queue(void)
{
	struct flush f = {.error = 0};
	check_flush_user();
	run_init();
	run_main(ask_to_flush, &f);
	if (f.error != 0)
		fatal("Cannot flush mail queue - mail system is down");
}

static bool is_destination(struct str site)
{
	struct net_address address;
	if (site.len > 0 && site.p[0] == '[')
		return address_literal_parse(site, &address);
	return address_domain_valid(site, false, NULL);
}

struct flush_request {
	struct str site, id; /* one of them */
	int error;
	enum flush_status status;
};

static void ask_flush(void *argument)
{
	struct flush_request *r = argument;
	const struct common_params *common = command_common();
	struct ipc_client *service =
	    service_client_new(common, SERVICE_PUBLIC, common->flush_service_name);
	int64_t deadline = deadline_after_ms(FLUSH_WAIT_MS);
	r->error = r->site.len > 0
	    ? flush_client_site(service, r->site, deadline, &r->status)
	    : flush_client_message(service, r->id, deadline, &r->status);
	ipc_client_free(service);
}

static enum flush_status request_flush(struct flush_request *r)
{
	run_init();
	run_main(ask_flush, r);
	if (r->error == 0)
		return r->status;
	if (r->error == -ENOENT)
		r->error = -ECONNREFUSED; /* the socket goes with master */
	log_warning("connect to public/%s: %s", command_common()->flush_service_name,
	    strerror(-r->error));
	fatal("Cannot flush mail queue - mail system is down");
}

/* Said without asking the service, so also while the mail system is down. */
static void check_fast_flush(const char *site)
{
	const struct common_params *common = command_common();
	struct match_list *sites = match_list_open_domains("fast_flush_domains",
	    common->fast_flush_domains, common->parent_domain_matches_subdomains);
	if (match_list_string(sites, str_of(site)) == TABLE_ABSENT)
		fatal("Flush service is not configured for destination \"%s\"", site);
	match_list_close(sites);
}

static void flush_site(const char *site)
{
	struct flush_request r = {.site = str_of(site)};
	check_flush_user();
	if (!is_destination(r.site))
		fatal("Cannot flush mail queue - invalid destination: \"%s\"", site);
	check_fast_flush(site);
	switch (request_flush(&r)) {
	case FLUSH_OK:
	case FLUSH_UNKNOWN:
		return;
	case FLUSH_DENIED:
		fatal("Flush service is not configured for destination \"%s\"", site);
	case FLUSH_BAD:
		fatal("Cannot flush mail queue - invalid destination: \"%s\"", site);
	case FLUSH_FAIL:
		fatal("Cannot flush mail queue - try again later");
	}
}

/* A message that is not deferred (any more) is no error. */
static void flush_message(const char *id)
{
	struct flush_request r = {.id = str_of(id)};
	size_t good = 0;
	check_flush_user();
	while (ascii_is_alnum(id[good]) || id[good] == '_')
		good++;
	if (good == 0 || id[good] != '\0')
		fatal("Cannot flush queue ID - invalid name: \"%s\"", id);
	if (request_flush(&r) == FLUSH_FAIL)
		fatal("Cannot flush queue ID %s - try again later", id);
}

/* A descriptor 0, 1 or 2 that is closed would be given to the next file or socket. */
static void open_standard_descriptors(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			_exit(postqueue_command.fatal_status);
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	static char name[] = "postqueue";
	const char *directory = NULL;
	const char *argument = NULL;
	int option, mode = 0;
	open_standard_descriptors();
	if (argc > 0)
		argv[0] = name; /* getopt shows it */
	fatal_exit_status(postqueue_command.fatal_status);
	log_stderr_name("postqueue");
	while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else if (option == '?' || mode != 0)
			usage();
		else {
			mode = option;
			argument = optarg;
		}
	}
	if (mode == 0 || optind < argc)
		usage();
	command_start(&postqueue_command, directory);
	command_enter_queue();
	switch (mode) {
	case 'p':
		list(listing_print);
		break;
	case 'j':
		list(listing_print_json);
		break;
	case 'f':
		flush_queue();
		break;
	case 's':
		flush_site(argument);
		break;
	default:
		flush_message(argument);
	}
	return 0;
}
