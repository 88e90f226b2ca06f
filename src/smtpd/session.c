/* One client from greeting to farewell. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/log_lines.h"
#include "mail/reply.h"
#include "run/fiber.h"
#include "smtpd/smtpd.h"

#define REPLY_MAX 4096

const char *session_protocol(const struct session *s)
{
	return s->esmtp ? "ESMTP" : "SMTP";
}

const char *session_transmission(const struct session *s)
{
	bool utf8 = s->transaction != NULL && s->transaction->smtputf8;
	return utf8 ? "UTF8SMTP" : session_protocol(s);
}

struct str session_sender(const struct session *s)
{
	return s->transaction != NULL ? s->transaction->sender : STR_EMPTY;
}

struct str session_queue_id(const struct session *s)
{
	if (s->transaction == NULL || s->transaction->message == NULL)
		return STR_EMPTY;
	return str_of(submission_id(s->transaction->message));
}

static const char *id_or_noqueue(const struct session *s)
{
	struct str id = session_queue_id(s);
	return id.len > 0 ? id.p : "NOQUEUE";
}

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
	CLEANUP(buf_free) struct buf soft = BUF_INIT(REPLY_MAX * 2);
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
	CLEANUP(buf_free) struct buf soft = BUF_INIT(REPLY_MAX * 2);
	line = softened(line, &soft);
	if (s->transcript != NULL)
		transcript_out(s->transcript, line);
	if (stream_write_str(s->stream, line) != 0 ||
	    stream_write(s->stream, "\r\n", 2) != 0)
		s->end = SESSION_CLOSE;
}

static void reply_v(
    struct session *s, int code, const char *status, const char *format, va_list args)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(REPLY_MAX);
	CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_MAX + 64);
	buf_vprintf(&text, format, args);
	reply_write(&line, code, status, buf_str(&text));
	session_line(s, buf_str(&line));
}

void session_reply(
    struct session *s, int code, const char *status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	reply_v(s, code, status, format, args);
	va_end(args);
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
	reply_v(s, code, status, format, args);
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

void session_limit(struct session *s, int64_t least_rate)
{
	const struct smtpd_params *p = &smtpd.params;
	stream_set_limit(s->stream, p->smtpd_timeout * 1000,
	    p->smtpd_per_request_deadline ? least_rate : STREAM_EACH_ANEW);
}

static int flush(struct session *s)
{
	session_limit(s, STREAM_WHOLE);
	return stream_flush(s->stream);
}

/* Which word for the state a broken session was in. */
static const char *last_word(const struct session *s)
{
	if (s->message_ended)
		return "END-OF-MESSAGE";
	return s->last_command != NULL ? s->last_command->log_name : "CONNECT";
}

static void log_broken(const struct session *s, const char *what)
{
	const struct transaction *t = s->transaction;
	if (t != NULL && t->receiving)
		log_info("%s: %s after %s (%lld bytes) from %.*s", id_or_noqueue(s), what,
		    last_word(s), (long long)t->bytes, STR_ARG(s->client_text));
	else
		log_info("%s: %s after %s from %.*s", id_or_noqueue(s), what,
		    last_word(s), STR_ARG(s->client_text));
}

static void say_last(struct session *s, int code, const char *status, const char *what)
{
	session_reply(
	    s, code, status, "%s Error: %s", service_common()->myhostname, what);
	if (flush(s) != 0)
		log_debug("the client did not take the last reply");
	s->end = SESSION_CLOSE;
}

static void broken(struct session *s, int error)
{
	s->broken_by = error == -ETIMEDOUT ? "timeout" : "lost connection";
	if (error == -ETIMEDOUT) {
		log_broken(s, "timeout");
		/* The stream's error is sticky: what can still be said is one short line.
		 */
		static const char format[] = "421 4.4.2 %s Error: timeout exceeded\r\n";
		CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_MAX);
		buf_printf(&line, format, service_common()->myhostname);
		if (s->transcript != NULL)
			transcript_out(s->transcript, buf_str(&line));
		if (send(stream_fd(s->stream), line.p, line.len,
			MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("the client did not take the last reply");
	} else if (!s->message_ended) {
		log_broken(s, "lost connection");
	}
	s->end = SESSION_CLOSE;
}

static bool has_input(const struct session *s)
{
	return stream_pending(s->stream, !stream_is_drained(s->stream)) > 0;
}

/* RFC 2920: only some commands may be followed before their reply was read. */
static bool is_out_of_sync(struct session *s, const struct command_row *row)
{
	if (!smtpd.params.smtpd_forbid_unauth_pipelining || service_stands_alone() ||
	    (row->flags & COMMAND_LAST_WORD))
		return false;
	if (s->esmtp && (row->flags & COMMAND_PIPELINED))
		return false;
	return has_input(s);
}

static void refuse_pipelining(struct session *s)
{
	const char *bytes;
	ssize_t len = stream_peek(s->stream, 1, &bytes);
	CLEANUP(buf_free) struct buf shown = BUF_INIT(512);
	for (ssize_t i = 0; i < len && i < 100; i++) {
		if (bytes[i] == '\r')
			buf_add_cstr(&shown, "\\r");
		else if (bytes[i] == '\n')
			buf_add_cstr(&shown, "\\n");
		else
			buf_add_char(&shown, bytes[i]);
	}
	log_info("improper command pipelining after %s from %.*s: %s", last_word(s),
	    STR_ARG(s->client_text), buf_cstr(&shown));
	session_error(s, 554, "5.5.0", "Error: SMTP protocol synchronization");
	s->end = SESSION_CLOSE;
}

bool session_takes_address(
    struct session *s, struct str address, bool declared, const char *what)
{
	if (str_is_ascii(address) || declared)
		return true;
	const char *status = strcmp(what, "sender") == 0 ? "5.1.7" : "5.1.3";
	struct str domain = address_split(address).domain;
	if (domain.p != NULL && !str_is_ascii(domain))
		session_error(s, 501, status, "Bad %s address syntax", what);
	else if (smtpd.params.strict_smtputf8 && service_common()->smtputf8_enable)
		session_error(
		    s, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
	else
		return true;
	return false;
}

bool session_forbids_bare_newline(const struct session *s)
{
	return smtpd.bare_newline == BARE_NEWLINE_REJECT && !s->bare_newline_allowed;
}

void session_refuse_bare_newline(struct session *s)
{
	log_info("%s: reject: bare <LF> received after %s from %.*s", id_or_noqueue(s),
	    last_word(s), STR_ARG(s->client_text));
	session_error(s, (int)smtpd.params.smtpd_forbid_bare_newline_reject_code, "5.5.2",
	    "%s Error: bare <LF> received", service_common()->myhostname);
}

/* In a message the rest is known to be text; behind a command it could be anything. */
static void refuse_bare_newline_command(struct session *s)
{
	session_refuse_bare_newline(s);
	s->end = SESSION_CLOSE;
}

void session_log_bad_address(
    const struct session *s, const char *command, struct str path)
{
	path = str_trim(path);
	const char *end = path.len > 0 ? memchr(path.p, '>', path.len) : NULL;
	if (end == NULL || path.p[0] != '<')
		return;
	path.len = (size_t)(end + 1 - path.p);
	log_warning("Illegal address syntax from %.*s in %s command: %.*s",
	    STR_ARG(s->client_text), command, str_print_length(path), path.p);
}

/* Browsers, proxies and mail headers at the wrong door. */
static bool is_forbidden(const struct smtp_command *c)
{
	if (c->verb.len > 0 && c->verb.p[c->verb.len - 1] == ':')
		return true;
	return match_list_string(smtpd.forbidden_commands, c->verb) == TABLE_FOUND;
}

static void refuse_forbidden(struct session *s)
{
	log_warning(
	    "non-SMTP command from %.*s: %.100s", STR_ARG(s->client_text), s->line.p);
	session_reply(s, 221, "2.7.0", "Error: I can break rules, too. Goodbye.");
	s->command_failed = true;
	s->end = SESSION_CLOSE;
}

static void count_command(struct command_count *count, bool good)
{
	count->all++;
	if (good)
		count->good++;
}

static void note_command(struct session *s, const struct command_row *row)
{
	transcript_in(s->transcript, buf_str(&s->line));
	if (row->flags & COMMAND_BEGINS_ANEW)
		transcript_shorten(s);
}

static void run_command(struct session *s, const struct smtp_command *c)
{
	const struct command_row *row = command_find(c->verb);
	if (s->transcript != NULL)
		note_command(s, row);
	s->last_command = row;
	s->command_failed = s->message_ended = false;
	bool text = !service_common()->smtputf8_enable || str_is_utf8(buf_str(&s->line));
	if (c->bare_lf && session_forbids_bare_newline(s))
		refuse_bare_newline_command(s);
	else if (c->verb.len == 0)
		session_error(s, 500, "5.5.2", "Error: bad syntax");
	else if (s->denied && row->handle != command_quit)
		session_error(s, 503, "5.7.0", "Error: access denied for %.*s",
		    STR_ARG(s->client_text));
	else if (is_forbidden(c))
		refuse_forbidden(s);
	else if (!text)
		session_error(s, 500, "5.5.2", "Error: bad UTF-8 syntax");
	else if (is_out_of_sync(s, row))
		refuse_pipelining(s);
	else
		row->handle(s, c->arguments);
	if (c->verb.len > 0 && text)
		count_command(&s->counts[row - command_rows], !s->command_failed);
	if ((row->flags & COMMAND_JUNK) &&
	    s->junk++ > (unsigned)smtpd.params.smtpd_junk_command_limit)
		s->errors++;
}

static void punish(struct session *s)
{
	if (s->end != SESSION_GOES_ON || !s->command_failed)
		return;
	if (s->errors > (unsigned)smtpd.params.smtpd_soft_error_limit &&
	    smtpd.params.smtpd_error_sleep_time > 0)
		fiber_sleep_ms(smtpd.params.smtpd_error_sleep_time * 1000);
}

static bool has_too_many_errors(struct session *s)
{
	if (s->errors < (unsigned)smtpd.params.smtpd_hard_error_limit)
		return false;
	log_info("%s: too many errors after %s from %.*s", id_or_noqueue(s), last_word(s),
	    STR_ARG(s->client_text));
	say_last(s, 421, "4.7.0", "too many errors");
	s->broken_by = "too many errors";
	return true;
}

/* Replies wait for company while commands that are already here may be pipelined. */
static int read_command(struct session *s, struct smtp_command *c)
{
	int error = stream_pending(s->stream, false) == 0 ? flush(s) : 0;
	if (error != 0)
		return error;
	session_limit(s, STREAM_WHOLE);
	error = smtp_command_read(
	    s->stream, &s->line, (size_t)service_common()->line_length_limit, c);
	session_limit(s, STREAM_WHOLE); /* for replies that do not wait for company */
	if (error == 0 && c->too_long)
		log_warning("%.*s: request longer than %lld: %.30s...",
		    STR_ARG(s->client_text),
		    (long long)service_common()->line_length_limit, s->line.p);
	return error;
}

static void converse(struct session *s)
{
	struct smtp_command c;
	while (s->end == SESSION_GOES_ON && !has_too_many_errors(s)) {
		int error = read_command(s, &c);
		if (error != 0) {
			broken(s, error);
			break;
		}
		run_command(s, &c);
		punish(s);
	}
	if (stream_error(s->stream) == 0 && flush(s) != 0)
		log_debug("the client did not take the last reply");
}

static void add_count(struct buf *out, const char *name, unsigned good, unsigned all)
{
	buf_printf(out, " %s=%u", name, good);
	if (good != all || all == 0)
		buf_printf(out, "/%u", all);
}

static void log_disconnect(const struct session *s)
{
	CLEANUP(buf_free) struct buf counts = BUF_INIT(1024);
	unsigned good = 0, all = 0;
	for (size_t i = 0; i < command_count; i++) {
		if (s->counts[i].all == 0)
			continue;
		CLEANUP(buf_free) struct buf name = BUF_INIT(32);
		for (const char *p = command_rows[i].log_name; *p != '\0'; p++)
			buf_add_char(&name, ascii_lower(*p));
		add_count(&counts, buf_cstr(&name), s->counts[i].good, s->counts[i].all);
		good += s->counts[i].good;
		all += s->counts[i].all;
	}
	add_count(&counts, "commands", good, all);
	log_info("disconnect from %.*s%s", STR_ARG(s->client_text), buf_cstr(&counts));
}

void session_greet(struct session *s)
{
	if (s->last_command != NULL && smtpd.params.smtpd_forbid_unauth_pipelining &&
	    has_input(s)) {
		refuse_pipelining(s);
		return;
	}
	s->denied = restriction_refuses_early(s, STAGE_CLIENT);
	if (!s->denied)
		session_reply(s, 220, "", "%s", smtpd.params.smtpd_banner);
}

void session_serve(struct service_client *client)
{
	struct session s = {.client = client,
	    .stream = client->stream,
	    .arena = arena_new(SESSION_ARENA),
	    .line = BUF_INIT(65536)};
	s.counts = memory_alloc_array(command_count, sizeof(*s.counts));
	if (smtpd.notify != 0)
		s.transcript = transcript_new();
	identity_find(&s);
	log_info("connect from %.*s", STR_ARG(s.client_text));
	session_greet(&s);
	converse(&s);
	transaction_end(&s);
	transcript_send(&s, s.broken_by);
	log_disconnect(&s);
	transcript_free(s.transcript);
	origin_forget(&s);
	free(s.counts);
	buf_free(&s.line);
	arena_free(s.arena);
}
