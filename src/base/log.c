#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log_syslog.h"
#include "base/memory.h"
#include "base/panic.h"

#define PREFIX_MAX 512
#define PENDING    ((size_t)65536)
#define LINE_ROOM  ((size_t)(PREFIX_MAX + LOG_LINE_MAX + 32))

/* Part of the state, not allocated, so that a line about lack of memory gets out. */
static struct {
	enum log_sink sink;
	bool also_stderr, relaying, prepared;
	int verbosity;
	int facility;
	int fd; /* -1: none */
	char tag[128], host[64], stderr_name[64];
	char *path;
	void (*relay)(enum log_level level, struct str text);
	struct buf memory;

	/* "Nov 22 03:29:06 mx postfix/smtpd[123]: " of the current second */
	char prefix[PREFIX_MAX];
	size_t prefix_len;
	int64_t prefix_second;

	char pending[PENDING]; /* lines, "\n" after each */
	size_t pending_len;
	unsigned lost; /* lines that could not be written */
	int lost_error;
} state = {.facility = LOG_MAIL, .fd = -1};

static const struct {
	const char *word;
	int severity;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"", LOG_INFO}, /* as Postfix shows them with -v */
    [LOG_LEVEL_INFO] = {"", LOG_INFO},
    [LOG_LEVEL_WARNING] = {"warning: ", LOG_WARNING},
    [LOG_LEVEL_ERROR] = {"error: ", LOG_ERR},
    [LOG_LEVEL_FATAL] = {"fatal: ", LOG_CRIT},
    [LOG_LEVEL_PANIC] = {"panic: ", LOG_CRIT},
};

/* A child must neither write its parent's lines again nor show its parent's pid. */
static void forget_in_child(void)
{
	state.pending_len = 0;
	state.prefix_len = 0;
}

static void prepare(void)
{
	if (state.prepared)
		return;
	state.prepared = true;
	ENSURE(pthread_atfork(NULL, NULL, forget_in_child) == 0);
	(void)atexit(log_flush);
}

static void copy_cut(char *out, size_t size, struct str s)
{
	(void)snprintf(out, size, "%.*s", STR_ARG(s));
}

static void learn_host(void)
{
	char name[256] = "";

	(void)gethostname(name, sizeof(name) - 1);
	copy_cut(state.host, sizeof(state.host), (struct str){name, strcspn(name, ".")});
}

static int open_file(const char *path)
{
	return file_open_following(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0600);
}

int log_open(enum log_sink sink, const char *tag, const char *path)
{
	int fd = -1;

	prepare();
	log_flush();
	if (sink == LOG_SINK_FILE && (fd = open_file(path)) < 0)
		return fd;
	if (sink == LOG_SINK_SYSLOG)
		fd = log_syslog_connect();
	file_close(&state.fd);
	state.fd = fd < 0 ? -1 : fd;
	state.sink = sink;
	free(state.path);
	state.path = path == NULL ? NULL : memory_copy_cstr(path);
	copy_cut(state.tag, sizeof(state.tag), str_of(tag));
	state.prefix_len = 0;
	state.memory.ceiling = (size_t)1 << 24;
	learn_host();
	return 0;
}

int log_reopen(void)
{
	int fd;

	log_flush();
	if (state.sink != LOG_SINK_FILE && state.sink != LOG_SINK_SYSLOG)
		return 0;
	fd = state.sink == LOG_SINK_FILE ? open_file(state.path) : log_syslog_connect();
	if (fd < 0)
		return fd;
	file_close(&state.fd);
	state.fd = fd;
	return 0;
}

void log_also_stderr(bool on)
{
	state.also_stderr = on;
}

void log_stderr_name(const char *name)
{
	copy_cut(state.stderr_name, sizeof(state.stderr_name), str_of(name));
}

void log_verbose(int level)
{
	state.verbosity = level;
}

int log_verbosity(void)
{
	return state.verbosity;
}

int log_set_facility(const char *name)
{
	int facility = log_syslog_facility(str_of(name));

	if (facility < 0)
		return facility;
	state.facility = facility;
	return 0;
}

void log_relay_to(void (*function)(enum log_level level, struct str text))
{
	state.relay = function;
}

struct str log_memory(void)
{
	return buf_str(&state.memory);
}

void log_memory_clear(void)
{
	buf_clear(&state.memory);
}

static void lose(unsigned lines, int error)
{
	state.lost += lines;
	state.lost_error = error;
}

static unsigned count_lines(struct str lines)
{
	unsigned count = 0;

	for (size_t i = 0; i < lines.len; i++)
		count += lines.p[i] == '\n';
	return count;
}

/* All lines in one write, so that lines of several processes do not mix. */
static void write_lines(int fd, struct str lines)
{
	while (lines.len > 0) {
		ssize_t done = write(fd, lines.p, lines.len);
		struct pollfd full = {.fd = fd, .events = POLLOUT};

		if (done >= 0) {
			lines = str_skip(lines, (size_t)done);
		} else if (errno == EAGAIN) {
			(void)poll(&full, 1, -1);
		} else if (errno != EINTR) {
			lose(count_lines(lines), errno);
			return;
		}
	}
}

static void send_lines(struct str lines)
{
	struct str line;

	while (str_next(&lines, "\n", &line)) {
		int error = log_syslog_send(&state.fd, line);
		if (error != 0)
			lose(1, -error);
	}
}

void log_flush(void)
{
	struct str lines = {state.pending, state.pending_len};
	unsigned lost = state.lost;

	if (lines.len == 0)
		return;
	state.pending_len = 0;
	if (state.sink == LOG_SINK_SYSLOG)
		send_lines(lines);
	else
		write_lines(
		    state.sink == LOG_SINK_FILE ? state.fd : STDOUT_FILENO, lines);
	if (lost > 0 && lost == state.lost) {
		state.lost = 0;
		log_warning(
		    "%u log lines were lost: %s", lost, strerror(state.lost_error));
	}
}

static size_t printable_prefix(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && ascii_is_print(text[i]))
		i++;
	return i;
}

/* Line breaks, terminal controls (C1 of Unicode too) and broken UTF-8 become '?'. */
static void make_harmless(char *text, size_t len)
{
	for (size_t i = printable_prefix(text, len); i < len;) {
		size_t length = str_utf8_length((struct str){text + i, len - i});
		bool is_c1 = length == 2 && (unsigned char)text[i] == 0xC2 &&
		    (unsigned char)text[i + 1] < 0xA0;

		if (length > 1 && !is_c1) {
			i += length;
			continue;
		}
		if (!ascii_is_print(text[i]))
			text[i] = '?';
		i++;
	}
}

static void refresh_prefix(void)
{
	int64_t now = clock_wall_seconds();
	char stamp[32];
	struct buf out = {
	    .p = stamp, .size = sizeof(stamp), .ceiling = sizeof(stamp) - 1};
	bool with_host = state.sink != LOG_SINK_SYSLOG;

	if (state.prefix_len > 0 && now == state.prefix_second)
		return;
	clock_add_syslog(&out, now);
	state.prefix_second = now;
	state.prefix_len = (size_t)snprintf(state.prefix, sizeof(state.prefix),
	    "%s%s%s %s[%ld]: ", stamp, with_host ? " " : "", with_host ? state.host : "",
	    state.tag, (long)getpid());
}

static void write_stderr(struct str text)
{
	struct str tag = str_of(state.tag);
	struct str name = str_of(state.stderr_name);
	struct iovec parts[4];

	if (name.len == 0)
		name = str_skip(tag, (size_t)(str_find_last(tag, '/') + 1));
	parts[0] = (struct iovec){(void *)(uintptr_t)name.p, name.len};
	parts[1] = (struct iovec){(void *)(uintptr_t) ": ", name.len > 0 ? 2 : 0};
	parts[2] = (struct iovec){(void *)(uintptr_t)text.p, text.len};
	parts[3] = (struct iovec){(void *)(uintptr_t) "\n", 1};
	(void)!writev(STDERR_FILENO, parts, ARRAY_SIZE(parts));
}

static void keep_in_memory(struct str text)
{
	buf_add_str(&state.memory, text);
	buf_add_char(&state.memory, '\n');
}

static void relay(enum log_level level, struct str text)
{
	/* What the relay function itself has to say cannot go through it. */
	if (state.relay == NULL || state.relaying) {
		write_stderr(text);
		return;
	}
	state.relaying = true;
	state.relay(level, text);
	state.relaying = false;
}

/* Writes the prefix at the end of the pending lines; gives its length. */
static size_t start_line(enum log_level level)
{
	char *at = state.pending + state.pending_len;
	size_t len = 0;

	if (state.sink != LOG_SINK_SYSLOG && state.sink != LOG_SINK_FILE &&
	    state.sink != LOG_SINK_STDOUT)
		return 0;
	refresh_prefix();
	if (state.sink == LOG_SINK_SYSLOG)
		len = (size_t)snprintf(
		    at, 16, "<%d>", state.facility | levels[level].severity);
	memcpy(at + len, state.prefix, state.prefix_len);
	return len + state.prefix_len;
}

static void end_line(enum log_level level, size_t prefix_len, struct str text)
{
	if (state.also_stderr && state.sink != LOG_SINK_STDERR)
		write_stderr(text);
	switch (state.sink) {
	case LOG_SINK_STDERR:
		write_stderr(text);
		break;
	case LOG_SINK_MEMORY:
		keep_in_memory(text);
		break;
	case LOG_SINK_RELAY:
		relay(level, text);
		break;
	case LOG_SINK_SYSLOG:
	case LOG_SINK_FILE:
	case LOG_SINK_STDOUT:
		state.pending_len += prefix_len + text.len;
		state.pending[state.pending_len++] = '\n';
		break;
	}
}

void log_line_v(enum log_level level, const char *format, va_list args)
{
	size_t prefix_len, word_len = strlen(levels[level].word);
	char *text;
	int made;

	if (level == LOG_LEVEL_DEBUG && state.verbosity <= 0)
		return;
	if (PENDING - state.pending_len < LINE_ROOM)
		log_flush();
	prefix_len = start_line(level);
	text = state.pending + state.pending_len + prefix_len;
	memcpy(text, levels[level].word, word_len);
	made = vsnprintf(text + word_len, LOG_LINE_MAX + 1 - word_len, format, args);
	ENSURE(made >= 0);
	word_len += (size_t)made;
	if (word_len > LOG_LINE_MAX)
		word_len = LOG_LINE_MAX;
	make_harmless(text, word_len);
	end_line(level, prefix_len, (struct str){text, word_len});
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line_v(level, format, args);
	va_end(args);
}
