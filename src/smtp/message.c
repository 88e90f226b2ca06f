/*
 * One message over a session: MAIL, RCPT for each pending recipient, DATA, the text. With
 * PIPELINING (RFC 2920) the envelope and DATA go out together.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/smtp.h"
#include "smtp_wire/capability.h"
#include "smtp_wire/data.h"

#define FLUSH_EVERY \
	100 /* recipients in one go, so that neither side blocks on full sockets */

struct transaction {
	struct session *session;
	struct delivery *delivery;
	bool last; /* no other host is left to try */
	struct why *why;
	struct reply reply;
	size_t *sent; /* recipients named to the server, in order */
	bool *accepted;
	size_t count, accepted_count;
};

static struct str relay_of(const struct transaction *t)
{
	return str_of(t->session->relay);
}

/* A refusal of one recipient: final for it, or up to the next host. */
static void recipient_failed(struct transaction *t, size_t index)
{
	if (!why_is_later(t->why) || t->last)
		delivery_failed(t->delivery, index, relay_of(t), t->why);
}

/* The same for everybody that the server had not refused before. */
static void all_failed(struct transaction *t)
{
	for (size_t i = 0; i < t->delivery->count; i++)
		if (t->delivery->recipients[i].result == DELIVERY_PENDING)
			recipient_failed(t, i);
}

static void add_mail_parameters(const struct transaction *t, struct buf *line)
{
	const struct delivery_request *r = &t->delivery->request;
	uint32_t can = t->session->capabilities;
	if (can & CAPABILITY_SIZE)
		buf_printf(line, " SIZE=%lld", (long long)r->size);
	if ((can & CAPABILITY_8BITMIME) && str_is(r->encoding, "8bit"))
		buf_add_cstr(line, " BODY=8BITMIME");
	if (!(can & CAPABILITY_DSN))
		return;
	if (r->ret != DSN_RET_DEFAULT)
		buf_add_cstr(line, r->ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (r->envelope_id.len > 0) {
		buf_add_cstr(line, " ENVID=");
		xtext_encode(line, r->envelope_id);
	}
}

static void add_rcpt_parameters(
    const struct transaction *t, const struct delivery_recipient *r, struct buf *line)
{
	if (!(t->session->capabilities & CAPABILITY_DSN))
		return;
	if (r->notify != 0) {
		buf_add_cstr(line, " NOTIFY=");
		dsn_notify_add(line, r->notify);
	}
	ptrdiff_t semicolon = str_find(r->dsn_orcpt, ';');
	if (semicolon > 0) {
		buf_add_cstr(line, " ORCPT=");
		buf_add_str(line, str_slice(r->dsn_orcpt, 0, (size_t)semicolon + 1));
		xtext_encode(line, str_skip(r->dsn_orcpt, (size_t)semicolon + 1));
	}
}

static void send_mail(struct transaction *t)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	buf_add_cstr(&line, "MAIL FROM:<");
	address_quote(&line, t->delivery->request.sender);
	buf_add_char(&line, '>');
	add_mail_parameters(t, &line);
	session_send(t->session, "sending MAIL FROM", "%s", buf_cstr(&line));
}

static void send_rcpt(struct transaction *t, size_t index)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	const struct delivery_recipient *r = t->delivery->recipients[index].request;
	buf_add_cstr(&line, "RCPT TO:<");
	address_quote(&line, r->address);
	buf_add_char(&line, '>');
	add_rcpt_parameters(t, r, &line);
	session_send(t->session, "sending RCPT TO", "%s", buf_cstr(&line));
	t->sent[t->count++] = index;
}

static bool read_reply(struct transaction *t, const char *doing, int64_t seconds)
{
	return session_reply(t->session, doing, seconds, &t->reply, t->why);
}

static bool read_mail_reply(struct transaction *t)
{
	if (!read_reply(t, "sending MAIL FROM", smtp.params.smtp_mail_timeout))
		return false;
	if (reply_class(&t->reply) == 2)
		return true;
	(void)trouble_said(t->why, t->session, &t->reply, "MAIL FROM");
	return false;
}

static bool read_rcpt_reply(struct transaction *t, size_t position)
{
	if (!read_reply(t, "sending RCPT TO", smtp.params.smtp_rcpt_timeout))
		return false;
	t->accepted[position] = reply_class(&t->reply) == 2;
	if (t->accepted[position]) {
		t->accepted_count++;
		return true;
	}
	(void)trouble_said(t->why, t->session, &t->reply, "RCPT TO");
	recipient_failed(t, t->sent[position]);
	return !t->session->broken;
}

static void reset(struct transaction *t)
{
	struct why ignored;
	if (t->session->broken)
		return;
	why_init(&ignored);
	session_send(t->session, "sending RSET", "RSET");
	if (session_reply(t->session, "sending RSET", smtp.params.smtp_rset_timeout,
		&t->reply, &ignored) &&
	    reply_class(&t->reply) != 2)
		t->session->broken = true;
	why_free(&ignored);
}

/* One command, one reply. */
static bool envelope_stepwise(struct transaction *t)
{
	send_mail(t);
	if (!read_mail_reply(t)) {
		all_failed(t);
		reset(t);
		return false;
	}
	for (size_t i = 0; i < t->delivery->count; i++) {
		if (t->delivery->recipients[i].result != DELIVERY_PENDING)
			continue;
		send_rcpt(t, i);
		if (!read_rcpt_reply(t, t->count - 1)) {
			all_failed(t);
			return false;
		}
	}
	if (t->accepted_count > 0)
		session_send(t->session, "sending DATA command", "DATA");
	else
		reset(t);
	return t->accepted_count > 0;
}

static bool read_pipelined_replies(struct transaction *t, bool *mail_accepted)
{
	*mail_accepted = read_mail_reply(t);
	if (t->session->broken)
		return false;
	struct why refused;
	why_init(&refused);
	why_copy(&refused, t->why);
	for (size_t i = 0; i < t->count; i++) {
		if (*mail_accepted && !read_rcpt_reply(t, i)) {
			why_free(&refused);
			return false;
		}
		if (!*mail_accepted &&
		    !read_reply(t, "sending RCPT TO", smtp.params.smtp_rcpt_timeout)) {
			why_free(&refused);
			return false;
		}
	}
	if (!*mail_accepted)
		why_copy(t->why, &refused);
	why_free(&refused);
	return true;
}

/* The server may accept DATA though it refused every recipient: then an empty text ends
 * it. */
static void end_pointless_data(struct transaction *t)
{
	struct why ignored;
	why_init(&ignored);
	if (session_reply(t->session, "sending DATA command",
		smtp.params.smtp_data_init_timeout, &t->reply, &ignored) &&
	    reply_class(&t->reply) == 3) {
		session_send(t->session, "sending end of data", ".");
		(void)session_reply(t->session, "sending end of data",
		    smtp.params.smtp_data_done_timeout, &t->reply, &ignored);
	}
	why_free(&ignored);
	reset(t);
}

static bool envelope_pipelined(struct transaction *t)
{
	bool mail_accepted;
	send_mail(t);
	for (size_t i = 0; i < t->delivery->count; i++)
		if (t->delivery->recipients[i].result == DELIVERY_PENDING)
			send_rcpt(t, i);
	session_send(t->session, "sending DATA command", "DATA");
	if (!read_pipelined_replies(t, &mail_accepted)) {
		all_failed(t);
		return false;
	}
	if (!mail_accepted)
		all_failed(t);
	if (t->accepted_count > 0)
		return true;
	end_pointless_data(t);
	return false;
}

static bool start_data(struct transaction *t)
{
	if (!read_reply(t, "sending DATA command", smtp.params.smtp_data_init_timeout))
		return false;
	if (reply_class(&t->reply) == 3)
		return true;
	return trouble_said(t->why, t->session, &t->reply, "DATA");
}

/* The text, dots stuffed, CRLF after each line. 0, -EBADMSG (corrupt file), or the
 * stream's error. */
static int send_text(struct transaction *t)
{
	struct delivery *d = t->delivery;
	struct stream *stream = t->session->stream;
	struct str line;
	bool whole, at_line_start = true;
	int more = 0, error = 0;
	t->session->doing = "sending message body";
	queue_file_content_start(&d->file, &d->envelope);
	while (error == 0 &&
	    (more = queue_file_content_next(&d->file, &line, &whole)) == 1) {
		stream_set_deadline(
		    stream, deadline_after_seconds(smtp.params.smtp_data_xfer_timeout));
		error = data_write_line(stream, line, whole,
		    (size_t)smtp.params.smtp_line_length_limit, &at_line_start);
	}
	if (error == 0 && more < 0)
		error = more;
	if (error == 0 && !at_line_start)
		error = stream_write(stream, "\r\n", 2);
	return error != 0 ? error : data_write_end(stream);
}

static void accepted_failed(struct transaction *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->accepted[i] &&
		    t->delivery->recipients[t->sent[i]].result == DELIVERY_PENDING)
			recipient_failed(t, t->sent[i]);
}

static void accepted_sent(struct transaction *t)
{
	const char *status = t->reply.status[0] != '\0' ? t->reply.status : "2.0.0";
	for (size_t i = 0; i < t->count; i++)
		if (t->accepted[i])
			delivery_sent(t->delivery, t->sent[i], relay_of(t),
			    t->session->uses, status, buf_str(&t->reply.text));
}

static void send_message(struct transaction *t)
{
	static const char end_of_data[] =
	    "sending end of data -- message may be sent more than once";
	if (!start_data(t)) {
		accepted_failed(t);
		if (!t->session->broken)
			reset(t);
		return;
	}
	int error = send_text(t);
	if (error != 0) {
		/* Closing without the final dot makes the server forget the message. */
		t->session->broken = true;
		(void)(error == -EBADMSG
			? why_later(t->why, "4.3.0", "queue file is corrupt")
			: trouble_lost(t->why, t->session, error));
		accepted_failed(t);
		return;
	}
	if (!read_reply(t, end_of_data, smtp.params.smtp_data_done_timeout)) {
		accepted_failed(t);
	} else if (reply_class(&t->reply) == 2) {
		accepted_sent(t);
	} else {
		(void)trouble_said(t->why, t->session, &t->reply, "end of DATA");
		accepted_failed(t);
	}
}

/* RFC 1870 6.1: what the server said it does not take is not offered. */
static bool is_too_big(struct transaction *t)
{
	int64_t limit = t->session->size_limit, size = t->delivery->request.size;
	if (!(t->session->capabilities & CAPABILITY_SIZE) || limit <= 0 || size <= limit)
		return false;
	(void)why_never(t->why, "5.3.4",
	    "message size %lld exceeds size limit %lld of server %s", (long long)size,
	    (long long)limit, t->session->peer);
	all_failed(t);
	return true;
}

void message_send(struct session *s, struct delivery *d, bool last, struct why *why)
{
	struct transaction t = {.session = s, .delivery = d, .last = last, .why = why};
	t.sent = arena_alloc_array(d->arena, d->count, sizeof(*t.sent));
	t.accepted = arena_alloc_array(d->arena, d->count, sizeof(*t.accepted));
	s->uses++;
	if (t.sent == NULL || t.accepted == NULL) {
		(void)why_later(why, "4.3.0", "out of memory for this request");
		all_failed(&t);
		return;
	}
	if (is_too_big(&t))
		return;
	reply_init(&t.reply);
	bool pipelining =
	    (s->capabilities & CAPABILITY_PIPELINING) && d->count <= FLUSH_EVERY;
	if (pipelining ? envelope_pipelined(&t) : envelope_stepwise(&t))
		send_message(&t);
	reply_free(&t.reply);
}
