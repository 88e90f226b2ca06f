/* One command: whether it is let through to its handler, and what counts against the
 * client. */
#include "base/log.h"
#include "smtpd/session.h"

bool session_forbids_bare_newline(const struct session *s)
{
	return smtpd.bare_newline == BARE_NEWLINE_REJECT && !s->bare_newline_allowed;
}

void session_refuse_bare_newline(struct session *s)
{
	log_info("%s: reject: bare <LF> received after %s from %.*s",
	    session_id_or_noqueue(s), session_last_word(s), STR_ARG(s->client_text));
	session_error(s, (int)smtpd.params.smtpd_forbid_bare_newline_reject_code, "5.5.2",
	    "%s Error: bare <LF> received", service_common()->myhostname);
}

/* In a message the rest is known to be text; behind a command it could be anything. */
static void refuse_bare_newline_command(struct session *s)
{
	session_refuse_bare_newline(s);
	s->end = SESSION_CLOSE;
}

/* Browsers, proxies and mail headers at the wrong door. */
static bool is_forbidden(const struct smtp_command *c, const struct command_row *row)
{
	return c->verb.p[c->verb.len - 1] == ':' || command_is_forbidden(row, c->verb);
}

static void refuse_forbidden(struct session *s)
{
	log_warning(
	    "non-SMTP command from %.*s: %.100s", STR_ARG(s->client_text), s->line.p);
	session_reply(s, 221, "2.7.0", STR("Error: I can break rules, too. Goodbye."));
	s->command_failed = true;
	s->end = SESSION_CLOSE;
}

bool session_has_input(const struct session *s)
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
	return session_has_input(s);
}

void session_refuse_pipelining(struct session *s)
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
	log_info("improper command pipelining after %s from %.*s: %s",
	    session_last_word(s), STR_ARG(s->client_text), buf_cstr(&shown));
	session_error(s, 554, "5.5.0", "Error: SMTP protocol synchronization");
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

void session_run_command(struct session *s, const struct smtp_command *c)
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
	else if (is_forbidden(c, row))
		refuse_forbidden(s);
	else if (!text)
		session_error(s, 500, "5.5.2", "Error: bad UTF-8 syntax");
	else if (is_out_of_sync(s, row))
		session_refuse_pipelining(s);
	else
		row->handle(s, c->arguments);
	if (c->verb.len > 0 && text)
		count_command(&s->counts[row - command_rows], !s->command_failed);
	if ((row->flags & COMMAND_JUNK) &&
	    s->junk++ > (unsigned)smtpd.params.smtpd_junk_command_limit)
		s->errors++;
}
