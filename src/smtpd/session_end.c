/* How a session ends: broken off, told to leave, or well; and the last line about it. */
#include <errno.h>

#include "base/log.h"
#include "smtpd/session.h"

static void log_broken(const struct session *s, const char *what)
{
	const struct transaction *t = s->transaction;
	if (t != NULL && t->receiving)
		log_info("%s: %s after %s (%lld bytes) from %.*s",
		    session_id_or_noqueue(s), what, session_last_word(s),
		    (long long)t->bytes, STR_ARG(s->client_text));
	else
		log_info("%s: %s after %s from %.*s", session_id_or_noqueue(s), what,
		    session_last_word(s), STR_ARG(s->client_text));
}

static void say_last(struct session *s, int code, const char *status, const char *what)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SESSION_REPLY_MAX);
	buf_printf(&text, "%s Error: %s", service_common()->myhostname, what);
	session_reply(s, code, status, buf_str(&text));
	if (session_flush(s) != 0)
		log_debug("the client did not take the last reply");
	s->end = SESSION_CLOSE;
}

void session_broken(struct session *s, int error)
{
	s->broken_by = error == -ETIMEDOUT ? "timeout" : "lost connection";
	if (error == -ETIMEDOUT) {
		log_broken(s, "timeout");
		/* The stream's error is sticky: what can still be said is one short line.
		 */
		static const char format[] = "421 4.4.2 %s Error: timeout exceeded\r\n";
		CLEANUP(buf_free) struct buf line = BUF_INIT(SESSION_REPLY_MAX);
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

bool session_has_too_many_errors(struct session *s)
{
	if (s->errors < (unsigned)smtpd.params.smtpd_hard_error_limit)
		return false;
	log_info("%s: too many errors after %s from %.*s", session_id_or_noqueue(s),
	    session_last_word(s), STR_ARG(s->client_text));
	say_last(s, 421, "4.7.0", "too many errors");
	s->broken_by = "too many errors";
	return true;
}

static void add_count(struct buf *out, const char *name, unsigned good, unsigned all)
{
	buf_add_char(out, ' ');
	size_t at = out->len;
	buf_add_cstr(out, name);
	for (; at < out->len; at++)
		out->p[at] = ascii_lower(out->p[at]);
	buf_add_char(out, '=');
	buf_add_u64(out, good);
	if (good != all || all == 0) {
		buf_add_char(out, '/');
		buf_add_u64(out, all);
	}
}

void session_log_disconnect(const struct session *s)
{
	CLEANUP(buf_free) struct buf counts = BUF_INIT(1024);
	unsigned good = 0, all = 0;
	for (size_t i = 0; i < command_count; i++) {
		if (s->counts[i].all == 0)
			continue;
		add_count(&counts, command_rows[i].log_name, s->counts[i].good,
		    s->counts[i].all);
		good += s->counts[i].good;
		all += s->counts[i].all;
	}
	add_count(&counts, "commands", good, all);
	log_info("disconnect from %.*s%s", STR_ARG(s->client_text), buf_cstr(&counts));
}
