/*
 * postdrop: takes a message from a user and puts it into the maildrop queue.
 *
 * Setgid: everybody may run it, nobody may look into the directory that it writes. Reads
 * from its caller, who may be hostile: records on standard input, options, environment,
 * signals, limits and open descriptors. What is kept of the environment is the
 * configuration directory, which is checked, and the time zone. If it died here, the
 * caller would be told nothing, so that he tries again; a file that is not ready
 * (mode 0644) is nobody's.
 */
#include "postdrop/postdrop.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "client/qmgr_client.h"
#include "client/service_client.h"
#include "mail/address.h"
#include "postdrop_params.h"
#include "queue/attr_list.h"
#include "run/loop.h"
#include "service/command.h"
#include "service/log_setup.h"
#include "table/match_list.h"

static struct postdrop_params params;

static const struct command command = {
    .name = "postdrop",
    .params = postdrop_param_table,
    .values = &params,
    .fatal_status = 1,
};

/* --- what the caller may have left us --- */

/* A descriptor 0, 1 or 2 that is closed would be given to the next file that we open. */
static void open_standard_descriptors(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			_exit(1);
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
}

static void keep_only(const char *const *names, size_t count)
{
	char *values[8] = {NULL};
	ENSURE(count <= ARRAY_SIZE(values));
	for (size_t i = 0; i < count; i++)
		if (getenv(names[i]) != NULL)
			values[i] = memory_copy_cstr(getenv(names[i]));
	if (clearenv() != 0)
		fatal("cannot clear the environment");
	for (size_t i = 0; i < count; i++) {
		if (values[i] != NULL && setenv(names[i], values[i], 1) != 0)
			fatal("setenv: %s", strerror(errno));
		free(values[i]);
	}
}

/* Standard output is for the dialogue, so no log may go there. */
static void open_log(void)
{
	const struct common_params *common = command_common();
	if (str_is(str_of(common->maillog_file), "/dev/stdout"))
		return;
	log_setup(common, command.name);
	log_also_stderr(true);
}

static void ignore_signals(void)
{
	(void)signal(SIGPIPE, SIG_IGN); /* a caller who left is seen when we answer */
	(void)signal(SIGXFSZ, SIG_IGN); /* his limits become errors of write */
	(void)signal(SIGALRM, SIG_IGN);
}

static void check_user(void)
{
	const struct passwd *user = getpwuid(getuid());
	const char *name = user != NULL ? user->pw_name : "unknown";
	struct match_list *list = match_list_open(
	    "authorized_submit_users", params.authorized_submit_users, MATCH_STRINGS, 0);
	if (match_list_string(list, str_of(name)) != TABLE_FOUND)
		fatal("User %s(%d) is not allowed to submit mail", name, (int)getuid());
	match_list_close(list);
}

/* --- the dialogue (attribute lists on standard output) --- */

/* False: the caller is gone. */
static bool answer(const struct buf *lists)
{
	return file_write_all(STDOUT_FILENO, lists->p, lists->len) == 0;
}

static bool tell_id(const char *id)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	attr_list_add(&out, "protocol", STR("postdrop_protocol"));
	attr_list_add(&out, "queue_id", str_of(id));
	attr_list_end(&out);
	return answer(&out);
}

static void tell_status(enum drop_status status, struct str reason)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000 + ADDRESS_MAX);
	CLEANUP(buf_free) struct buf number = BUF_INIT(10);
	buf_add_i64(&number, status);
	attr_list_add(&out, "status", buf_str(&number));
	attr_list_add(&out, "reason", reason);
	attr_list_end(&out);
	/* Whether the caller still listens does not matter to the message. */
	if (!answer(&out))
		log_debug("nobody reads our answer");
}

/* --- one message --- */

/* Ends the process without a word to the caller: his input was no message. */
NORETURN static void refuse(struct drop *d, struct input *in)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	buf_add_str(
	    &reason, d->reason.len > 0 ? buf_str(&d->reason) : STR("malformed input"));
	drop_free(d);
	input_free(in);
	fatal("uid=%d: %s", (int)getuid(), buf_cstr(&reason));
}

/* Dies of the signal that came, for those who look at our exit status. */
NORETURN static void die_of_signal(struct drop *d)
{
	sigset_t all;
	drop_free(d);
	log_flush();
	(void)signal(input_signal(), SIG_DFL);
	(void)raise(input_signal());
	(void)sigemptyset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	_exit(1);
}

/* True: the caller is told *status_r; false: he went away in good order. */
static bool take_message(struct drop *d, struct input *in, enum drop_status *status_r)
{
	enum drop_result result = drop_begin(d, status_r);
	while (result == DROP_MORE) {
		int type = 0;
		struct str data = STR_EMPTY;
		switch (input_next(in, &type, &data)) {
		case INPUT_RECORD:
			result = drop_record(d, type, data, status_r);
			break;
		case INPUT_END:
			return false;
		case INPUT_MALFORMED:
			buf_clear(&d->reason);
			refuse(d, in);
		case INPUT_SIGNAL:
			die_of_signal(d);
		}
	}
	if (result == DROP_REFUSED)
		refuse(d, in);
	if (result == DROP_COMPLETE)
		*status_r = drop_finish(d);
	return true;
}

static struct commit_slot *reserve(struct commit **commit_r)
{
	struct commit_slot *slot = NULL;
	struct commit_options options = {.engine = COMMIT_FILE,
	    .kind = COMMIT_MAILDROP,
	    .long_ids = command_common()->enable_long_queue_ids};
	int error = commit_open(&options, commit_r);
	if (error == 0)
		error = commit_reserve(*commit_r, &slot);
	if (error != 0)
		fatal("uid=%d: create file in %s/%s: %s", (int)getuid(),
		    command_common()->queue_directory, QUEUE_MAILDROP, strerror(-error));
	return slot;
}

static void wake_pickup(UNUSED void *argument)
{
	const struct common_params *common = command_common();
	struct ipc_client *pickup =
	    service_client_new(common, SERVICE_PUBLIC, common->pickup_service_name);
	int error =
	    pickup_wake_send(pickup, deadline_after_seconds(common->trigger_timeout));
	/* The mail system is down, or slow: pickup looks for files by itself. */
	if (error != 0)
		log_debug("pickup was not woken: %s", strerror(-error));
	ipc_client_free(pickup);
}

static enum drop_status serve(void)
{
	const struct common_params *common = command_common();
	struct commit *commit = NULL;
	struct input in;
	struct drop d;
	enum drop_status status = DROP_OK;
	const struct passwd *user = getpwuid(getuid());
	struct sender_rules *senders = sender_rules_new(params.local_login_sender_maps,
	    params.empty_address_local_login_sender_maps_lookup_key);
	char *login = memory_copy_cstr(user != NULL ? user->pw_name : "unknown");
	input_init(&in, (size_t)common->line_length_limit);
	drop_init(&d, reserve(&commit), common->message_size_limit);
	d.senders = senders;
	d.login = str_of(login);
	if (!tell_id(commit_id(d.slot))) {
		buf_add_cstr(&d.reason, "nobody reads the answer");
		refuse(&d, &in);
	}
	bool told = take_message(&d, &in, &status);
	if (told)
		tell_status(
		    status, status == DROP_DENIED ? buf_str(&d.reason) : STR_EMPTY);
	drop_free(&d);
	commit_close(commit);
	sender_rules_free(senders);
	free(login);
	if (told && status == DROP_OK) {
		/* The message is safe. Neither trouble on the way to pickup (no
		 * descriptors left) nor a signal may turn that into a failure, or it
		 * would be sent twice. */
		fatal_exit_status(DROP_OK);
		run_main(wake_pickup, NULL);
		buf_free(&in.window);
		return status;
	}
	input_free(&in);
	return status;
}

NORETURN static void usage(void)
{
	fatal("usage: postdrop [-c config_dir] [-v]");
}

int main(int argc, char **argv)
{
	static const char *const kept[] = {"MAIL_CONFIG", "TZ"};
	static char name[] = "postdrop";
	const char *directory = NULL;
	int option;
	open_standard_descriptors();
	(void)umask(022);
	ignore_signals();
	log_stderr_name(name);
	if (argc > 0)
		argv[0] = name;
	while ((option = getopt(argc, argv, "c:rv")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else if (option == '?')
			usage();
	}
	if (optind < argc)
		usage();
	command_start(&command, directory);
	open_log();
	keep_only(kept, ARRAY_SIZE(kept));
	check_user();
	command_enter_queue();
	enum drop_status status = serve();
	log_flush();
	return status == DROP_DENIED ? DROP_BAD : (int)status;
}
