/*
 * Records from standard input. Signals are blocked but while we wait for input, and then
 * only set a number: no code runs in a handler that could meet a half-made file.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "postdrop/postdrop.h"

#define READ_SIZE  65536
#define WINDOW_MAX (READ_SIZE * 2 + RECORD_DATA_MAX)

static volatile sig_atomic_t caught;
static sigset_t before_us, while_waiting;
static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

static void note_signal(int number)
{
	caught = number;
}

int input_signal(void)
{
	return caught;
}

static void catch_signals(void)
{
	sigset_t blocked;
	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct sigaction before;
		const struct sigaction action = {.sa_handler = note_signal};
		/* What our caller has us ignore (nohup) stays ignored. */
		if (sigaction(numbers[i], NULL, &before) != 0 ||
		    before.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(numbers[i], &action, NULL);
		(void)sigaddset(&blocked, numbers[i]);
	}
	ENSURE(sigprocmask(SIG_BLOCK, &blocked, &before_us) == 0);
	while_waiting = before_us;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)sigdelset(&while_waiting, numbers[i]);
}

void input_init(struct input *in, size_t record_max)
{
	*in = (struct input){.window = BUF_INIT(WINDOW_MAX), .record_max = record_max};
	catch_signals();
}

void input_free(struct input *in)
{
	buf_free(&in->window);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct sigaction now;
		if (sigaction(numbers[i], NULL, &now) == 0 &&
		    now.sa_handler == note_signal)
			(void)signal(numbers[i], SIG_DFL);
	}
	(void)sigprocmask(SIG_SETMASK, &before_us, NULL);
}

/* Bytes added to the window, 0 at the end, -EINTR for a signal, -errno. */
static ssize_t read_more(struct input *in)
{
	struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
	buf_consume(&in->window, in->used);
	in->used = 0;
	char *room = buf_reserve(&in->window, READ_SIZE);
	ENSURE(room != NULL);
	if (caught == 0 && ppoll(&ready, 1, NULL, &while_waiting) < 0 && errno != EINTR)
		return -errno;
	if (caught != 0)
		return -EINTR;
	ssize_t got = file_read_some(STDIN_FILENO, room, READ_SIZE);
	if (got > 0)
		buf_advance(&in->window, (size_t)got);
	return got;
}

#define LENGTH_BYTES 5

/* What is wrong with the record that `rest` starts with, in words. */
static void complain(struct str rest)
{
	int type = (unsigned char)rest.p[0];
	size_t len = 0;
	for (size_t i = 1; i <= LENGTH_BYTES; i++) {
		if (i >= rest.len) {
			log_warning(
			    "stdin: unexpected EOF reading length, record type %d", type);
			return;
		}
		size_t byte = (unsigned char)rest.p[i];
		len |= (byte & 127) << (7 * (i - 1));
		if ((byte & 128) != 0)
			continue;
		if (len > RECORD_DATA_MAX)
			log_warning(
			    "stdin: illegal length %zu, record type %d", len, type);
		else
			log_warning(
			    "stdin: unexpected EOF in data, record type %d length %zu",
			    type, len);
		return;
	}
	log_warning("stdin: too many length bits, record type %d", type);
}

enum input_result input_next(struct input *in, int *type_r, struct str *data_r)
{
	for (;;) {
		struct str rest = str_skip(buf_str(&in->window), in->used);
		size_t before = rest.len;
		int result = record_read(&rest, type_r, data_r);
		if (result > 0) {
			in->used += before - rest.len;
			if (data_r->len <= in->record_max)
				return INPUT_RECORD;
			log_warning("stdin: illegal length %zu, record type %d",
			    data_r->len, *type_r);
			return INPUT_MALFORMED;
		}
		ssize_t got = result < 0 ? 0 : read_more(in);
		if (got > 0)
			continue;
		if (got == -EINTR)
			return INPUT_SIGNAL;
		if (got < 0)
			log_warning("read stdin: %s", strerror((int)-got));
		rest = str_skip(buf_str(&in->window), in->used);
		if (rest.len == 0)
			return got < 0 ? INPUT_MALFORMED : INPUT_END;
		complain(rest);
		return INPUT_MALFORMED;
	}
}
