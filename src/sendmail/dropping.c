/* postdrop, at the other end of two pipes: records go in, attribute lists come out. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/attr_list.h"
#include "sendmail/sendmail.h"
#include "service/command.h"

#define WRITE_SIZE 65536
#define ANSWER_MAX 65536
#define PATH_ROOM  4096

struct dropping {
	char path[PATH_ROOM];
	pid_t pid;
	int input, output;
	struct buf answer; /* read and not used yet */
};

/* --- its answer --- */

/* The next item of the answer, waited for. End of file gives BAD. */
static enum attr_list_item next_item(
    struct dropping *d, struct str *name_r, struct buf *value)
{
	for (;;) {
		struct str rest = buf_str(&d->answer), name, text;
		enum attr_list_item item = attr_list_next(&rest, &name, &text);
		if (item == ATTR_LIST_PAIR) {
			buf_clear(value);
			buf_add_str(value, name);
			size_t len = value->len;
			buf_add_str(value, text);
			*name_r = str_slice(buf_str(value), 0, len);
		}
		if (item != ATTR_LIST_MORE) {
			buf_consume(&d->answer, d->answer.len - rest.len);
			return item;
		}
		char *room = buf_reserve(&d->answer, 4096);
		ssize_t got = room == NULL ? 0 : file_read_some(d->output, room, 4096);
		if (got <= 0)
			return ATTR_LIST_BAD;
		buf_advance(&d->answer, (size_t)got);
	}
}

/* One list, of which the values of `first` and `second` are wanted. */
static bool read_list(struct dropping *d, const char *first, struct buf *first_value,
    const char *second, struct buf *second_value)
{
	CLEANUP(buf_free) struct buf pair = BUF_INIT(ATTR_LIST_STRING_MAX * 2);
	struct str name = STR_EMPTY;
	bool has_first = false;
	bool has_second = false;
	enum attr_list_item item;
	while ((item = next_item(d, &name, &pair)) == ATTR_LIST_PAIR) {
		struct str value = str_skip(buf_str(&pair), name.len);
		if (str_is(name, first)) {
			buf_add_str(first_value, value);
			has_first = true;
		} else if (str_is(name, second)) {
			buf_add_str(second_value, value);
			has_second = true;
		}
	}
	return item == ATTR_LIST_END && has_first && has_second;
}

/* --- the process --- */

/* The exit status, or 128 and the signal. */
static int wait_for_end(struct dropping *d)
{
	int status = 0;
	file_close(&d->input);
	while (waitpid(d->pid, &status, 0) < 0)
		if (errno != EINTR)
			return 128;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

NORETURN static void not_started(struct dropping *d)
{
	int status = wait_for_end(d);
	if (status > 128)
		log_warning(
		    "command \"%s -r\" killed by signal %d", d->path, status - 128);
	else
		log_warning("command \"%s -r\" exited with status %d", d->path, status);
	sendmail_fatal("unable to execute %s -r: Application error", d->path);
}

NORETURN static void be_postdrop(const struct dropping *d, int in, int out)
{
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		(void)execl(d->path, "postdrop", "-r", (char *)NULL);
	log_line(LOG_LEVEL_FATAL, "execvp %s: %s", d->path, strerror(errno));
	log_flush();
	_exit(127);
}

struct dropping *dropping_start(void)
{
	int in[2], out[2];
	CLEANUP(buf_free) struct buf id = BUF_INIT(ATTR_LIST_STRING_MAX);
	CLEANUP(buf_free) struct buf protocol = BUF_INIT(ATTR_LIST_STRING_MAX);
	struct dropping *d = memory_alloc(sizeof(*d));
	(void)snprintf(d->path, sizeof(d->path), "%s/postdrop",
	    program_command_directory(command_common()));
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		sendmail_fatal("pipe: %s", strerror(errno));
	log_flush();
	d->pid = fork();
	if (d->pid < 0)
		sendmail_fatal("fork: %s", strerror(errno));
	if (d->pid == 0)
		be_postdrop(d, in[0], out[1]);
	file_close(&in[0]);
	file_close(&out[1]);
	d->input = in[1];
	d->output = out[0];
	buf_init(&d->answer, ANSWER_MAX);
	if (!read_list(d, "protocol", &protocol, "queue_id", &id) ||
	    !str_is(buf_str(&protocol), "postdrop_protocol"))
		not_started(d);
	return d;
}

void dropping_write(struct dropping *d, struct buf *records, bool all)
{
	if (records->len < WRITE_SIZE && !all)
		return;
	if (d->input >= 0 && file_write_all(d->input, records->p, records->len) != 0)
		file_close(&d->input);
	buf_clear(records);
}

/* postdrop's status in words. */
static const char *status_text(int64_t status)
{
	static const struct {
		int64_t status;
		const char *text;
	} rows[] = {
	    {1, "internal protocol error"},
	    {2, "queue file write error"},
	    {4, "message file too big"},
	    {8, "message content rejected"},
	    {16, "too many hops"},
	    {64, "no recipients specified"},
	    {256, "service unavailable"},
	    {512, "service denied"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "queue file write error";
}

void dropping_finish(struct dropping *d)
{
	CLEANUP(buf_free) struct buf number = BUF_INIT(ATTR_LIST_STRING_MAX);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(ATTR_LIST_STRING_MAX);
	int64_t status = 2;
	if (read_list(d, "status", &number, "reason", &reason) &&
	    !str_to_i64(buf_str(&number), &status))
		status = 1;
	int end = wait_for_end(d);
	if (end != 0 && reason.len == 0)
		log_warning("mail_stream_cleanup: close error");
	if (end != 0 && status == 0)
		status = 2;
	if (status != 0)
		sendmail_fatal(
		    "%s", reason.len > 0 ? buf_cstr(&reason) : status_text(status));
	file_close(&d->output);
	buf_free(&d->answer);
	free(d);
}
