#include "client/postdrop_client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/attr_list.h"

#define WRITE_SIZE 65536
#define ANSWER_MAX 65536
#define PATH_ROOM  4096

struct postdrop {
	char path[PATH_ROOM];
	pid_t pid;
	int input, output;
	struct buf answer; /* read and not used yet */
	struct buf id;
};

/* --- its answer --- */

/* The next item of the answer, waited for. End of file gives BAD. */
static enum attr_list_item next_item(
    struct postdrop *d, struct str *name_r, struct buf *value)
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
static bool read_list(struct postdrop *d, const char *first, struct buf *first_value,
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
static int wait_for_end(struct postdrop *d)
{
	int status = 0;
	file_close(&d->input);
	while (waitpid(d->pid, &status, 0) < 0)
		if (errno != EINTR)
			return 128;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct postdrop *not_started(struct postdrop *d)
{
	int status = wait_for_end(d);
	if (status > 128)
		log_warning(
		    "command \"%s -r\" killed by signal %d", d->path, status - 128);
	else
		log_warning("command \"%s -r\" exited with status %d", d->path, status);
	d->pid = -1;
	postdrop_free(d);
	return NULL;
}

NORETURN static void be_postdrop(const struct postdrop *d, int in, int out)
{
	/* As the real user, whose message it is. */
	if (seteuid(getuid()) == 0 && setegid(getgid()) == 0 &&
	    dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		(void)execl(d->path, "postdrop", "-r", (char *)NULL);
	log_line(LOG_LEVEL_FATAL, "execvp %s: %s", d->path, strerror(errno));
	log_flush();
	_exit(127);
}

/* False: why is logged. */
static bool run(struct postdrop *d)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0) {
		log_flush();
		d->pid = fork();
		if (d->pid == 0)
			be_postdrop(d, in[0], out[1]);
	}
	if (d->pid < 0)
		log_warning("run %s: %s", d->path, strerror(errno));
	d->input = in[1];
	d->output = out[0];
	file_close(&in[0]);
	file_close(&out[1]);
	return d->pid > 0;
}

struct postdrop *postdrop_start(const char *directory)
{
	CLEANUP(buf_free) struct buf protocol = BUF_INIT(ATTR_LIST_STRING_MAX);
	struct postdrop *d = memory_alloc(sizeof(*d));
	(void)snprintf(d->path, sizeof(d->path), "%s/postdrop", directory);
	d->pid = -1;
	buf_init(&d->answer, ANSWER_MAX);
	buf_init(&d->id, ATTR_LIST_STRING_MAX);
	if (!run(d)) {
		postdrop_free(d);
		return NULL;
	}
	if (!read_list(d, "protocol", &protocol, "queue_id", &d->id) ||
	    !str_is(buf_str(&protocol), "postdrop_protocol"))
		return not_started(d);
	return d;
}

void postdrop_free(struct postdrop *d)
{
	if (d == NULL)
		return;
	if (d->pid > 0) /* it hears no end of the message, and forgets it */
		(void)wait_for_end(d);
	file_close(&d->input);
	file_close(&d->output);
	buf_free(&d->answer);
	buf_free(&d->id);
	free(d);
}

const char *postdrop_queue_id(const struct postdrop *d)
{
	return buf_cstr(&d->id);
}

void postdrop_write(struct postdrop *d, struct buf *records, bool all)
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

bool postdrop_finish(struct postdrop *d, struct buf *reason)
{
	CLEANUP(buf_free) struct buf number = BUF_INIT(ATTR_LIST_STRING_MAX);
	int64_t status = 2;
	if (read_list(d, "status", &number, "reason", reason) &&
	    !str_to_i64(buf_str(&number), &status))
		status = 1;
	int end = wait_for_end(d);
	d->pid = -1;
	if (end != 0 && reason->len == 0)
		log_warning("mail_stream_cleanup: close error");
	if (end != 0 && status == 0)
		status = 2;
	if (status != 0 && reason->len == 0)
		buf_add_cstr(reason, status_text(status));
	return status == 0;
}
