/*
 * postdrop: takes a message from standard input, as records, and puts it into maildrop;
 * works while the mail system is down. Set-group-ID: any user may run it. Reads from
 * strangers: everything, strictly; trusts neither environment nor signals. A message is
 * on stable storage before its status is told.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "client/qmgr_client.h"
#include "client/service_client.h"
#include "postdrop_params.h"
#include "queue/commit.h"
#include "queue/maildrop.h"
#include "queue/queue_write.h"
#include "run/loop.h"
#include "service/command.h"
#include "table/match_list.h"

#define INPUT_ROOM (RECORD_DATA_MAX + 16)
#define USER_ROOM  256

enum drop_status { DROP_OK = 0, DROP_WRITE_ERROR = 1, DROP_TOO_BIG = 2 };

static struct {
	struct postdrop_params params;
	struct commit_slot *slot;
	int64_t size;
} drop;

static const struct command postdrop_command = {
    .name = "postdrop",
    .params = postdrop_param_table,
    .values = &drop.params,
    .fatal_status = 1,
    .logs = true,
};

/* --- what is told to sendmail: attribute lists, as Postfix's postdrop speaks --- */

static void tell(const struct buf *text)
{
	if (file_write_all(STDOUT_FILENO, text->p, text->len) != 0)
		log_warning("nobody reads the status");
}

static void tell_id(const char *id)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	buf_add(&text, "protocol\0postdrop_protocol\0queue_id\0", 36);
	buf_add(&text, id, strlen(id) + 1);
	buf_add_char(&text, '\0');
	tell(&text);
}

static void tell_status(enum drop_status status, const char *reason)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
	buf_add(&text, "status\0", 7);
	buf_add_i64(&text, status);
	buf_add_char(&text, '\0');
	buf_add(&text, "reason\0", 7);
	buf_add(&text, reason, strlen(reason) + 1);
	buf_add_char(&text, '\0');
	tell(&text);
}

/* --- input --- */

NORETURN static void malformed(const char *reason)
{
	log_warning("stdin: %s", reason);
	commit_cancel(drop.slot);
	fatal("uid=%d: malformed input", (int)getuid());
}

NORETURN static void failed(enum drop_status status, const struct why *why)
{
	log_warning("uid=%d: %s", (int)getuid(), buf_cstr(&why->text));
	commit_cancel(drop.slot);
	tell_status(status,
	    status == DROP_TOO_BIG ? "message file too big" : "queue file write error");
	log_flush();
	exit(1);
}

static void store(const struct buf *records)
{
	struct why why;
	int64_t limit = command_common()->message_size_limit;
	why_init(&why);
	drop.size += (int64_t)records->len;
	if (limit > 0 && drop.size > limit) {
		(void)why_never(&why, "5.3.4", "File too large");
		failed(DROP_TOO_BIG, &why);
	}
	if (!commit_add(drop.slot, buf_str(records), &why)) {
		drop.slot = NULL;
		failed(DROP_WRITE_ERROR, &why);
	}
	why_free(&why);
}

/* Takes complete records off `in`; what is left is the beginning of the next. */
static void take_records(struct buf *in, struct maildrop_check *check)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(INPUT_ROOM * 2);
	struct str rest = buf_str(in), data;
	const char *reason;
	int type, got = 0;
	while (check->phase != MAILDROP_DONE &&
	    (got = record_read(&rest, &type, &data)) == 1) {
		if (!maildrop_check_record(check, type, data, &reason))
			malformed(reason);
		record_write(&out, (enum record_type)type, data);
	}
	if (got < 0)
		malformed("no record");
	if (out.len > 0)
		store(&out);
	buf_consume(in, in->len - rest.len);
}

/* False: nothing at all was on standard input. */
static bool read_message(void)
{
	struct maildrop_check check = {.phase = MAILDROP_ENVELOPE};
	CLEANUP(buf_free) struct buf in = BUF_INIT(INPUT_ROOM * 2);
	bool any = false;
	while (check.phase != MAILDROP_DONE) {
		char *room = buf_reserve(&in, INPUT_ROOM);
		ssize_t got = room != NULL
		    ? file_read_some(STDIN_FILENO, room, INPUT_ROOM)
		    : -EMSGSIZE;
		if (got == 0 && !any)
			return false;
		if (got <= 0)
			malformed(
			    got == 0 ? "unexpected EOF in data" : strerror((int)-got));
		any = true;
		buf_advance(&in, (size_t)got);
		take_records(&in, &check);
	}
	return true;
}

/* --- the rest --- */

static void check_user(void)
{
	char name[USER_ROOM];
	const struct passwd *user = getpwuid(getuid());
	(void)snprintf(
	    name, sizeof(name), "%s", user != NULL ? user->pw_name : "unknown");
	struct match_list *list = match_list_open("authorized_submit_users",
	    drop.params.authorized_submit_users, MATCH_STRINGS, 0);
	if (match_list_string(list, str_of(name)) != TABLE_FOUND)
		fatal("User %s(%d) is not allowed to submit mail", name, (int)getuid());
	match_list_close(list);
}

/* Pickup looks once a minute anyhow: with the system down, nobody minds. */
static void wake_pickup(UNUSED void *argument)
{
	const struct common_params *common = command_common();
	struct ipc_client *pickup =
	    service_client_new(common, SERVICE_PUBLIC, common->pickup_service_name);
	if (pickup_wake_send(pickup, deadline_after_seconds(common->trigger_timeout)) !=
	    0)
		log_debug("pickup does not answer");
	ipc_client_free(pickup);
}

/* No signal ends us halfway: a terminal that hangs up, a quota, an impatient user. */
static void ignore_signals(void)
{
	static const int numbers[] = {
	    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ, SIGALRM};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)signal(numbers[i], SIG_IGN);
}

static void make_slot(void)
{
	struct commit *commit;
	int error = commit_open(COMMIT_FILE, COMMIT_MAILDROP, false, &commit);
	if (error == 0)
		error = commit_reserve(commit, &drop.slot);
	if (error != 0)
		fatal("create file in %s/maildrop: %s", command_common()->queue_directory,
		    strerror(-error));
	CLEANUP(buf_free) struct buf first = BUF_INIT(64);
	queue_time_record(&first, clock_wall());
	store(&first);
}

static void finish(void)
{
	struct why why;
	struct commit_slot *slot = drop.slot;
	why_init(&why);
	drop.slot = NULL;
	if (!commit_finish(slot, false, &why))
		failed(DROP_WRITE_ERROR, &why);
	why_free(&why);
	tell_status(DROP_OK, "");
	run_init();
	run_main(wake_pickup, NULL);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option;
	while ((option = getopt(argc, argv, "c:rv")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == '?')
			fatal("usage: postdrop [-c config_dir] [-v]");
	}
	command_start(&postdrop_command, directory);
	check_user();
	command_enter_queue();
	ignore_signals();
	make_slot();
	tell_id(commit_id(drop.slot));
	if (read_message())
		finish();
	else
		commit_cancel(drop.slot);
	log_flush();
	return 0;
}
