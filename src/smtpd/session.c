#include "smtpd/session.h"

#include "base/log.h"
#include "base/memory.h"
#include "run/fiber.h"

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

const char *session_id_or_noqueue(const struct session *s)
{
	struct str id = session_queue_id(s);
	return id.len > 0 ? id.p : "NOQUEUE";
}

void session_limit(struct session *s, int64_t least_rate)
{
	const struct smtpd_params *p = &smtpd.params;
	stream_set_limit(s->stream, p->smtpd_timeout * 1000,
	    p->smtpd_per_request_deadline ? least_rate : STREAM_EACH_ANEW);
}

int session_flush(struct session *s)
{
	session_limit(s, STREAM_WHOLE);
	return stream_flush(s->stream);
}

const char *session_last_word(const struct session *s)
{
	if (s->message_ended)
		return "END-OF-MESSAGE";
	return s->last_command != NULL ? s->last_command->log_name : "CONNECT";
}

static void punish(struct session *s)
{
	if (s->end != SESSION_GOES_ON || !s->command_failed)
		return;
	if (s->errors > (unsigned)smtpd.params.smtpd_soft_error_limit &&
	    smtpd.params.smtpd_error_sleep_time > 0)
		fiber_sleep_ms(smtpd.params.smtpd_error_sleep_time * 1000);
}

/* Replies wait for company while commands that are already here may be pipelined. */
static int read_command(struct session *s, struct smtp_command *c)
{
	int error = stream_pending(s->stream, false) == 0 ? session_flush(s) : 0;
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

/* Behind QUIT nothing comes before the connection is closed, but a notice. */
static int flush_last(struct session *s)
{
	if (s->end != SESSION_QUIT || (s->trouble & smtpd.notify) != 0)
		return session_flush(s);
	session_limit(s, STREAM_WHOLE);
	return stream_flush_last(s->stream);
}

static void converse(struct session *s)
{
	struct smtp_command c;
	while (s->end == SESSION_GOES_ON && !session_has_too_many_errors(s)) {
		int error = read_command(s, &c);
		if (error != 0) {
			session_broken(s, error);
			break;
		}
		session_run_command(s, &c);
		punish(s);
	}
	if (stream_error(s->stream) == 0 && flush_last(s) != 0)
		log_debug("the client did not take the last reply");
}

void session_greet(struct session *s)
{
	if (s->last_command != NULL && smtpd.params.smtpd_forbid_unauth_pipelining &&
	    session_has_input(s)) {
		session_refuse_pipelining(s);
		return;
	}
	s->denied = restriction_refuses_early(s, STAGE_CLIENT);
	if (!s->denied)
		session_reply(s, 220, "", str_of(smtpd.params.smtpd_banner));
}

void session_serve(struct service_client *client)
{
	struct session s = {.client = client,
	    .stream = client->stream,
	    .arena = arena_new(SESSION_ARENA),
	    .line = BUF_INIT((size_t)service_common()->line_length_limit + 1),
	    .reply = BUF_INIT(SESSION_REPLY_MAX + 64)};
	s.counts = memory_alloc_array(command_count, sizeof(*s.counts));
	if (smtpd.notify != 0)
		s.transcript = transcript_new();
	identity_find(&s);
	log_info("connect from %.*s", STR_ARG(s.client_text));
	session_greet(&s);
	converse(&s);
	transaction_end(&s);
	transcript_send(&s, s.broken_by);
	session_log_disconnect(&s);
	transcript_free(s.transcript);
	origin_forget(&s);
	restriction_forget(&s);
	free(s.counts);
	buf_free(&s.line);
	buf_free(&s.reply);
	arena_free(s.arena);
}
