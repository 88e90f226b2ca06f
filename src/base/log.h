/*
 * Log lines in Postfix's format. A line is collected in memory and written by log_flush:
 * the runtime calls it once per loop turn, before frames go out, so lines about one
 * message keep their order across processes. One datagram a line to syslog, one append
 * to a file or stream for all lines; a full log socket blocks. panic and fatal flush.
 *
 *	Nov 22 03:29:06 mx postfix/smtpd[123]: connect from localhost[127.0.0.1]
 *
 * Bytes outside printable ASCII and valid UTF-8 are shown as '?' (log injection is not
 * possible: no line break passes). A line is cut at LOG_LINE_MAX bytes. Threads of worker
 * pools must not log; they hand their finding back to the fiber.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include "base/str.h"

#define LOG_LINE_MAX 8000 /* bytes of text after the prefix */
#define LOG_TAG_MAX  127  /* bytes of "postfix/smtpd"; a longer tag is cut */

enum log_level {
	LOG_LEVEL_DEBUG, /* shown only when verbose */
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING, /* text is prefixed "warning: " */
	LOG_LEVEL_ERROR,   /* "error: " */
	LOG_LEVEL_FATAL,   /* "fatal: " */
	LOG_LEVEL_PANIC,   /* "panic: " */
};

enum log_sink {
	LOG_SINK_STDERR, /* "program: text", as commands do; the state before log_open */
	LOG_SINK_SYSLOG, /* facility by log_set_facility, default mail; /dev/log, which
			  * may come later: lines are lost, and counted, until it is there
			  */
	LOG_SINK_FILE,   /* O_APPEND, made with mode 0600, lines as above */
	LOG_SINK_STDOUT, /* the same lines on descriptor 1 (containers), of at most
			  * PIPE_BUF bytes each, so that lines of several processes do not
			  * mix
			  */
	LOG_SINK_MEMORY, /* tests: log_memory(), without time and tag */
	LOG_SINK_RELAY,  /* each line is handed to a function (postlog service); to
			  * syslog from the first one on that it does not take
			  */
};

/* Lines that wait for syslog go to the file or standard output when that is opened next.
 * `tag` is "postfix/smtpd"; copied. `path` for FILE, else NULL. 0 or -errno. */
MUST_USE int log_open(enum log_sink sink, const char *tag, const char *path);
/* Also write to standard error (commands that log, interactive start). */
void log_also_stderr(bool on);
/* Prefix on standard error: "postqueue: fatal: ..."; NULL = last part of the tag. */
void log_stderr_name(const char *name);
void log_verbose(int level); /* 0: debug lines are dropped */
int log_verbosity(void);
MUST_USE int log_set_facility(const char *name); /* "mail", "local0".. ; -EINVAL */
/* The function for LOG_SINK_RELAY; it gets the level, the tag and the line without
 * prefix. False: it cannot pass it on. */
void log_relay_to(bool (*function)(enum log_level, struct str tag, struct str text));
int log_reopen(void); /* after rotation; 0 or -errno, the old file stays in use */
/* LOG_SINK_FILE: the file was renamed or removed, log_reopen would make a new one. */
bool log_is_moved(void);
/* LOG_SINK_FILE: the open file, still ours; other sinks: -1. */
int log_descriptor(void);
/* LOG_SINK_FILE: goes on in this file, which was opened elsewhere (a jailed process
 * cannot reopen). Owned from now on; other sinks close it. */
void log_adopt(int fd);
void log_flush(void);
struct str log_memory(void); /* LOG_SINK_MEMORY: all lines so far, "\n" after each */
void log_memory_clear(void);

/* A line of another process (postlogd): its tag and pid in the prefix. The text holds
 * the word of its level already, is at most LOG_LINE_MAX bytes, the tag LOG_TAG_MAX. Only
 * with syslog, file and standard output. */
void log_foreign(enum log_level level, struct str tag, long pid, struct str text);

void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
void log_line_v(enum log_level level, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* The same for a line that is made already. */
void log_text(enum log_level level, struct str line);

#define log_debug(...)                                          \
	do {                                                    \
		if (log_verbosity() > 0)                        \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
