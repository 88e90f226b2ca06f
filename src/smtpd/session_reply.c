/* What the client is told, and what the log says beside it. */
#include "mail/log_lines.h"
#include "mail/reply.h"
#include "smtpd/session.h"

/* soft_bounce: what is refused for good may be tried again, whatever it is. */
static void soften(struct buf *lines)
{
	for (size_t at = 0; at + 6 <= lines->len;) {
		char *line = lines->p + at;
		if (line[0] == '5')
			line[0] = '4';
		if (line[4] == '5' && line[5] == '.')
			line[4] = '4';
		ptrdiff_t end = str_find(str_skip(buf_str(lines), at), '\n');
		at = end < 0 ? lines->len : at + (size_t)end + 1;
	}
}

/* `soft` keeps what is changed. */
static struct str softened(struct str lines, struct buf *soft)
{
	if (!service_common()->soft_bounce || lines.len == 0 || lines.p[0] != '5')
		return lines;
	buf_add_str(soft, lines);
	soften(soft);
	return buf_str(soft);
}

void session_log_action(const struct session *s, const char *action, const char *where,
    struct str text, const struct str *recipient)
{
	CLEANUP(buf_free) struct buf soft = BUF_INIT(SESSION_REPLY_MAX * 2);
	text = softened(text, &soft);
	log_reject(&(struct log_reject){
	    .queue_id = session_queue_id(s),
	    .action = action,
	    .where = where,
	    .client = s->client_text,
	    .text = text,
	    .sender = s->transaction != NULL ? &s->transaction->sender : NULL,
	    .recipient = recipient,
	    .protocol = str_of(session_protocol(s)),
	    .helo = s->helo,
	});
}

/* Errors of writing are sticky in the stream: the command loop sees them. */
void session_line(struct session *s, struct str line)
{
	CLEANUP(buf_free) struct buf soft = BUF_INIT(SESSION_REPLY_MAX * 2);
	line = softened(line, &soft);
	if (s->transcript != NULL)
		transcript_out(s->transcript, line);
	if (stream_write_str(s->stream, line) != 0 ||
	    stream_write(s->stream, "\r\n", 2) != 0)
		s->end = SESSION_CLOSE;
}

void session_reply(struct session *s, int code, const char *status, struct str text)
{
	if (text.len > SESSION_REPLY_MAX) /* left out as a whole: never cut */
		text = STR_EMPTY;
	buf_clear(&s->reply);
	reply_write(&s->reply, code, status, text);
	session_line(s, buf_str(&s->reply));
}

static void count_error(struct session *s)
{
	s->errors++;
	s->command_failed = true;
}

static void error_v(struct session *s, enum notice_class class, int code,
    const char *status, const char *format, va_list args)
{
	s->trouble |= (unsigned)class;
	count_error(s);
	CLEANUP(buf_free) struct buf text = BUF_INIT(SESSION_REPLY_MAX);
	buf_vprintf(&text, format, args);
	session_reply(s, code, status, buf_str(&text));
	if (code == 421 || code == 521)
		s->end = SESSION_CLOSE;
}

void session_error(
    struct session *s, int code, const char *status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_v(s, NOTICE_PROTOCOL, code, status, format, args);
	va_end(args);
}

void session_refuse(struct session *s, enum notice_class class, int code,
    const char *status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_v(s, class, code, status, format, args);
	va_end(args);
}

void session_error_text(struct session *s, struct str reply)
{
	count_error(s);
	session_line(s, reply);
	if (str_starts(reply, STR("421")) || str_starts(reply, STR("521")))
		s->end = SESSION_CLOSE;
}
