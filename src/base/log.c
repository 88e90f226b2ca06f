#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log_file.h"
#include "base/log_syslog.h"
#include "base/memory.h"
#include "base/panic.h"

#define PREFIX_MAX 512
#define PENDING    ((size_t)65536)
#define STAMP      15                          /* "Nov 22 03:29:06" */
#define BEFORE     ((size_t)(PREFIX_MAX + 16)) /* priority and prefix */
#define LINE_ROOM  (BEFORE + LOG_LINE_MAX + 16)

/* Part of the state, not allocated, so that a line about lack of memory gets out. */
static struct {
	enum log_sink sink;
	bool also_stderr, relaying, prepared;
	int verbosity;
	int facility;
	int fd; /* -1: none */
	char tag[LOG_TAG_MAX + 1], host[64], stderr_name[64];
	char *path;
	bool (*relay)(enum log_level level, struct str tag, struct str text);
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

/* Line breaks, terminal controls (C1 of Unicode too) and broken UTF-8 become '?'. */
static void make_harmless(char *text, size_t len)
{
	for (size_t i = str_printable_length((struct str){text, len}); i < len;) {
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

/* Bytes of a tag come from postlog -t, which any user may run. */
static void set_tag(const char *tag)
{
	if (tag != state.tag)
		copy_cut(state.tag, sizeof(state.tag), str_of(tag));
	make_harmless(state.tag, strlen(state.tag));
}

static void learn_host(void)
{
	char name[256] = "";

	(void)gethostname(name, sizeof(name) - 1);
	copy_cut(state.host, sizeof(state.host), (struct str){name, strcspn(name, ".")});
}

/* Lines in syslog's form, "<22>Nov 22 03:29:06 postfix/...", get the host's name and lose
 * the priority. */
static void take_over(struct str lines)
{
	ptrdiff_t end;
	while ((end = str_find(lines, '\n')) >= 0) {
		struct str line = str_slice(lines, 0, (size_t)end);
		lines = str_skip(lines, line.len + 1);
		line = str_skip(line, (size_t)(str_find(line, '>') + 1));
		if (PENDING - state.pending_len < LINE_ROOM)
			log_flush();
		char *at = state.pending + state.pending_len;
		int made = snprintf(at, LINE_ROOM - 1, "%.*s %s%.*s",
		    STR_ARG(str_slice(line, 0, STAMP)), state.host,
		    STR_ARG(str_skip(line, STAMP)));
		size_t len = made < (int)LINE_ROOM - 1 ? (size_t)made : LINE_ROOM - 2;
		at[len] = '\n';
		state.pending_len += len + 1;
	}
}

/* A daemon that read its configuration knows now where the log is: what it said before
 * belongs there. */
static void readdress(void)
{
	CLEANUP(buf_free) struct buf early = BUF_INIT(PENDING);
	buf_add_str(&early, (struct str){state.pending, state.pending_len});
	state.pending_len = 0;
	take_over(buf_str(&early));
}

int log_open(enum log_sink sink, const char *tag, const char *path)
{
	bool elsewhere = state.sink == LOG_SINK_SYSLOG &&
	    (sink == LOG_SINK_FILE || sink == LOG_SINK_STDOUT);
	int fd = -1;

	prepare();
	if (!elsewhere)
		log_flush();
	if (sink == LOG_SINK_FILE && (fd = log_file_open(path)) < 0)
		return fd;
	if (sink == LOG_SINK_SYSLOG)
		fd = log_syslog_connect();
	file_close(&state.fd);
	state.fd = fd < 0 ? -1 : fd;
	state.sink = sink;
	free(state.path);
	state.path = path == NULL ? NULL : memory_copy_cstr(path);
	set_tag(tag);
	state.prefix_len = 0;
	state.memory.ceiling = (size_t)1 << 24;
	learn_host();
	if (elsewhere)
		readdress();
	return 0;
}

int log_reopen(void)
{
	int fd;

	log_flush();
	if (state.sink != LOG_SINK_FILE && state.sink != LOG_SINK_SYSLOG)
		return 0;
	fd = state.sink == LOG_SINK_FILE ? log_file_open(state.path)
					 : log_syslog_connect();
	if (fd < 0)
		return fd;
	file_close(&state.fd);
	state.fd = fd;
	return 0;
}

bool log_is_moved(void)
{
	return state.sink == LOG_SINK_FILE && log_file_is_moved(state.fd, state.path);
}

int log_descriptor(void)
{
	return state.sink == LOG_SINK_FILE ? state.fd : -1;
}

void log_adopt(int fd)
{
	if (state.sink != LOG_SINK_FILE) {
		file_close(&fd);
		return;
	}
	log_flush();
	file_close(&state.fd);
	state.fd = fd;
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

void log_relay_to(bool (*function)(enum log_level, struct str tag, struct str text))
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

/* Many lines in one write, which is cheap, and where lines of several processes do not
 * mix: a pipe takes only so many bytes at once. */
static void write_lines(struct str lines)
{
	bool is_file = state.sink == LOG_SINK_FILE;
	unsigned lost;
	int error = log_file_write(is_file ? state.fd : STDOUT_FILENO, lines,
	    is_file ? PENDING : PIPE_BUF, &lost);

	if (error != 0)
		lose(lost, -error);
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
		write_lines(lines);
	if (lost > 0 && lost == state.lost) {
		state.lost = 0;
		log_warning(
		    "%u log lines were lost: %s", lost, strerror(state.lost_error));
	}
}

/* Writes "Nov 22 03:29:06 mx postfix/smtpd[123]: ", for syslog without the host. */
static size_t make_prefix(char out[PREFIX_MAX], struct str tag, long pid)
{
	char stamp[32];
	struct buf time = {
	    .p = stamp, .size = sizeof(stamp), .ceiling = sizeof(stamp) - 1};
	bool with_host = state.sink != LOG_SINK_SYSLOG;

	clock_add_syslog(&time, clock_wall_seconds());
	return (size_t)snprintf(out, PREFIX_MAX, "%s%s%s %.*s[%ld]: ", stamp,
	    with_host ? " " : "", with_host ? state.host : "", STR_ARG(tag), pid);
}

static void refresh_prefix(void)
{
	int64_t now = clock_wall_seconds();

	if (state.prefix_len > 0 && now == state.prefix_second)
		return;
	state.prefix_second = now;
	state.prefix_len = make_prefix(state.prefix, str_of(state.tag), (long)getpid());
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

static bool is_collected(void)
{
	return state.sink == LOG_SINK_SYSLOG || state.sink == LOG_SINK_FILE ||
	    state.sink == LOG_SINK_STDOUT;
}

/* The priority that syslog wants, at the end of the pending lines; gives its length. */
static size_t start_line(enum log_level level)
{
	if (PENDING - state.pending_len < LINE_ROOM)
		log_flush();
	if (state.sink != LOG_SINK_SYSLOG)
		return 0;
	return (size_t)snprintf(state.pending + state.pending_len, 16, "<%d>",
	    state.facility | levels[level].severity);
}

/* A line that is longer than a pipe takes at once would be torn there. */
static void end_line(size_t len)
{
	if (state.sink == LOG_SINK_STDOUT && len >= PIPE_BUF)
		len = PIPE_BUF - 1;
	state.pending_len += len;
	state.pending[state.pending_len++] = '\n';
}

/* `text` may lie behind the pending lines, where log_line_v made it. */
static void collect(enum log_level level, struct str text)
{
	size_t len = start_line(level);
	char *at = state.pending + state.pending_len;

	refresh_prefix();
	memmove(at + len + state.prefix_len, text.p, text.len);
	memcpy(at + len, state.prefix, state.prefix_len);
	end_line(len + state.prefix_len + text.len);
}

static void relay(enum log_level level, struct str text)
{
	bool taken;

	/* What the relay function itself has to say cannot go through it. */
	if (state.relay == NULL || state.relaying) {
		write_stderr(text);
		return;
	}
	state.relaying = true;
	taken = state.relay(level, str_of(state.tag), text);
	state.relaying = false;
	if (taken)
		return;
	if (log_open(LOG_SINK_SYSLOG, state.tag, NULL) == 0)
		collect(level, text);
}

static void put_line(enum log_level level, struct str text)
{
	if (state.also_stderr && state.sink != LOG_SINK_STDERR)
		write_stderr(text);
	if (is_collected())
		collect(level, text);
	else if (state.sink == LOG_SINK_MEMORY)
		keep_in_memory(text);
	else if (state.sink == LOG_SINK_RELAY)
		relay(level, text);
	else
		write_stderr(text);
}

static bool is_wanted(enum log_level level)
{
	return level != LOG_LEVEL_DEBUG || state.verbosity > 0;
}

/* Behind the pending lines, as a fiber has no room for it on its stack: LOG_LINE_MAX
 * bytes and a NUL, that start with the word of the level. */
static char *begin_text(enum log_level level, size_t *len_r)
{
	if (PENDING - state.pending_len < LINE_ROOM)
		log_flush();
	char *text = state.pending + state.pending_len + BEFORE;
	*len_r = strlen(levels[level].word);
	memcpy(text, levels[level].word, *len_r);
	return text;
}

static void end_text(enum log_level level, char *text, size_t len)
{
	if (len > LOG_LINE_MAX)
		len = LOG_LINE_MAX;
	make_harmless(text, len);
	put_line(level, (struct str){text, len});
}

void log_line_v(enum log_level level, const char *format, va_list args)
{
	size_t len;
	char *text;
	int made;

	if (!is_wanted(level))
		return;
	text = begin_text(level, &len);
	made = vsnprintf(text + len, LOG_LINE_MAX + 1 - len, format, args);
	ENSURE(made >= 0);
	end_text(level, text, len + (size_t)made);
}

void log_text(enum log_level level, struct str line)
{
	size_t len;
	char *text;

	if (!is_wanted(level))
		return;
	text = begin_text(level, &len);
	line = str_slice(line, 0, LOG_LINE_MAX - len);
	if (line.len > 0)
		memcpy(text + len, line.p, line.len);
	end_text(level, text, len + line.len);
}

void log_foreign(enum log_level level, struct str tag, long pid, struct str text)
{
	char prefix[PREFIX_MAX];
	char *at;
	size_t len, prefix_len;

	ENSURE(is_collected() && text.len <= LOG_LINE_MAX && tag.len <= LOG_TAG_MAX);
	prefix_len = make_prefix(prefix, tag, pid);
	len = start_line(level);
	at = state.pending + state.pending_len;
	memcpy(at + len, prefix, prefix_len);
	memcpy(at + len + prefix_len, text.p, text.len);
	make_harmless(at + len, prefix_len + text.len);
	end_line(len + prefix_len + text.len);
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line_v(level, format, args);
	va_end(args);
}
