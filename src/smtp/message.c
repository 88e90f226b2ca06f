/*
 * One message over a session: MAIL, RCPT for each pending recipient, DATA, the text. With
 * PIPELINING (RFC 2920) the envelope and DATA go out together.
 */
#include <errno.h>

#include "base/log.h"
#include "smtp/flags.h"
#include "smtp/generic.h"
#include "smtp/smtp.h"
#include "smtp_wire/capability.h"

#define FLUSH_EVERY \
	100 /* recipients in one go, so that neither side blocks on full sockets */

/* How far it goes: the last reply is the outcome. A probe carries no text. */
enum extent { TO_RCPT, TO_DATA, WHOLE };

struct transaction {
	struct session *session;
	struct delivery *delivery;
	struct why *why; /* the last failure */
	struct reply reply;
	size_t *sent; /* recipients named to the server, in order */
	size_t count, accepted;
	struct str *mapped; /* recipients, then the sender, as generic maps have them;
			     * NULL: as they are */
	enum extent extent;
};

/* Everybody whose outcome is open shares this failure. */
static void rest_failed(struct transaction *t)
{
	delivery_failed_rest(t->delivery, str_of(t->session->relay), t->why);
}

static void send_mail(struct transaction *t)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	envelope_mail(&line, t->session, t->delivery,
	    t->mapped != NULL ? t->mapped[t->delivery->count]
			      : t->delivery->request.sender);
	t->session->unfinished = true;
	session_send(t->session, "sending MAIL FROM", smtp.params.smtp_mail_timeout,
	    buf_str(&line));
}

static void send_rcpt(struct transaction *t, size_t index)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	const struct delivery_recipient *r = t->delivery->recipients[index].request;
	envelope_rcpt(
	    &line, t->session, r, t->mapped != NULL ? t->mapped[index] : r->address);
	session_send(
	    t->session, "sending RCPT TO", smtp.params.smtp_rcpt_timeout, buf_str(&line));
	t->sent[t->count++] = index;
}

static void send_data(struct transaction *t)
{
	session_send(t->session, "sending DATA command",
	    smtp.params.smtp_data_init_timeout, STR("DATA"));
}

static bool is_pending(const struct transaction *t, size_t index)
{
	return t->delivery->recipients[index].result == DELIVERY_PENDING;
}

/* False: the connection is lost, and so is everybody whose outcome was open. */
static bool read_reply(struct transaction *t, const char *doing, int64_t seconds)
{
	if (session_reply(t->session, doing, seconds, &t->reply, t->why))
		return true;
	rest_failed(t);
	return false;
}

static const struct {
	const char *doing, *command;
} xforward[XFORWARD_COMMANDS] = {
    [XFORWARD_CLIENT] = {"sending XFORWARD name/address", "XFORWARD name/address"},
    [XFORWARD_SESSION] = {"sending XFORWARD helo/protocol", "XFORWARD helo/protocol"},
};

/* False: there is nothing to tell. */
static bool send_xforward(struct transaction *t, enum xforward_command which)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	if (!smtp.params.smtp_send_xforward_command || t->session->xforward == 0)
		return false;
	envelope_xforward(&line, t->session, t->delivery, which);
	if (line.len > 0)
		session_send(t->session, xforward[which].doing,
		    smtp.params.smtp_xforward_timeout, buf_str(&line));
	return line.len > 0;
}

/* Mail goes its way without, too. */
static bool read_xforward_reply(struct transaction *t, enum xforward_command which)
{
	if (!read_reply(t, xforward[which].doing, smtp.params.smtp_xforward_timeout))
		return false;
	if (reply_class(&t->reply) != 2)
		log_warning("host %s said: %s (in reply to %s command)",
		    t->session->relay, buf_cstr(&t->reply.text), xforward[which].command);
	return true;
}

static bool read_mail_reply(struct transaction *t)
{
	if (!read_reply(t, "sending MAIL FROM", smtp.params.smtp_mail_timeout))
		return false;
	if (reply_class(&t->reply) != 2) {
		(void)trouble_said(t->why, t->session, &t->reply, "MAIL FROM");
		rest_failed(t);
	}
	return true;
}

static void recipient_sent(struct transaction *t, size_t index)
{
	const char *status = t->reply.status[0] != '\0' ? t->reply.status : "2.0.0";
	delivery_sent(t->delivery, index, str_of(t->session->relay), t->session->uses,
	    status, buf_str(&t->reply.text));
}

/* After a refused MAIL the replies to RCPT say nothing more. */
static bool read_rcpt_reply(struct transaction *t, size_t index)
{
	if (!read_reply(t, "sending RCPT TO", smtp.params.smtp_rcpt_timeout))
		return false;
	if (!is_pending(t, index))
		return true;
	if (reply_class(&t->reply) == 2) {
		t->accepted++;
		if (t->extent == TO_RCPT)
			recipient_sent(t, index);
		return true;
	}
	(void)trouble_said(t->why, t->session, &t->reply, "RCPT TO");
	delivery_failed(t->delivery, index, str_of(t->session->relay), t->why);
	return true;
}

/* Closing without the final dot makes the server forget the message. */
static void text_failed(struct transaction *t, int error)
{
	t->session->broken = true;
	t->session->lost = error != -EBADMSG && error != -EAGAIN;
	if (error == -EBADMSG)
		(void)why_later(t->why, "4.3.0", "queue file is corrupt");
	else if (error == -EAGAIN)
		(void)why_later(t->why, "4.3.0", "table lookup error");
	else
		(void)trouble_lost(t->why, t->session, error);
	rest_failed(t);
}

static const char ending[] = "sending end of data -- message may be sent more than once";

/* RFC 2033 4.2: a reply for each recipient that was accepted, in their order. */
static void end_of_text_each(struct transaction *t)
{
	for (size_t i = 0; i < t->count; i++) {
		size_t index = t->sent[i];
		if (!is_pending(t, index))
			continue;
		if (!read_reply(t, ending, smtp.params.smtp_data_done_timeout))
			return;
		if (reply_class(&t->reply) == 2) {
			recipient_sent(t, index);
			continue;
		}
		(void)trouble_said(t->why, t->session, &t->reply, "end of DATA");
		delivery_failed(t->delivery, index, str_of(t->session->relay), t->why);
	}
	t->session->unfinished = false;
}

static void accepted_sent(struct transaction *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (is_pending(t, t->sent[i]))
			recipient_sent(t, t->sent[i]);
}

static void end_of_text(struct transaction *t)
{
	if (smtp.dialect->reply_each) {
		end_of_text_each(t);
		return;
	}
	if (!read_reply(t, ending, smtp.params.smtp_data_done_timeout))
		return;
	t->session->unfinished = false;
	if (reply_class(&t->reply) == 2) {
		accepted_sent(t);
		return;
	}
	(void)trouble_said(t->why, t->session, &t->reply, "end of DATA");
	rest_failed(t);
}

/* The server may accept a pipelined DATA though it refused every recipient: then an empty
 * text ends it (RFC 2920 3.1). With LMTP no reply to that is due, and none can be told
 * from a late one: the connection ends. */
static void data(struct transaction *t)
{
	if (!read_reply(t, "sending DATA command", smtp.params.smtp_data_init_timeout))
		return;
	if (reply_class(&t->reply) != 3) {
		if (t->accepted > 0) {
			(void)trouble_said(t->why, t->session, &t->reply, "DATA");
			rest_failed(t);
		}
		return;
	}
	if (t->extent == TO_DATA)
		accepted_sent(t);
	if (t->extent == TO_DATA || (t->accepted == 0 && smtp.dialect->reply_each)) {
		t->session->broken = true;
		return;
	}
	if (t->accepted == 0) {
		session_send(t->session, "sending end of data",
		    smtp.params.smtp_data_done_timeout, STR("."));
	} else {
		int error = text_send(t->session, t->delivery);
		if (error != 0) {
			text_failed(t, error);
			return;
		}
	}
	end_of_text(t);
}

/* One command, one reply. */
static void run_stepwise(struct transaction *t)
{
	for (unsigned i = 0; i < XFORWARD_COMMANDS; i++)
		if (send_xforward(t, i) && !read_xforward_reply(t, i))
			return;
	send_mail(t);
	if (!read_mail_reply(t))
		return;
	for (size_t i = 0; i < t->delivery->count; i++) {
		if (!is_pending(t, i))
			continue;
		send_rcpt(t, i);
		if (!read_rcpt_reply(t, i))
			return;
	}
	if (t->accepted == 0 || t->extent == TO_RCPT)
		return;
	send_data(t);
	data(t);
}

/* The envelope and DATA in one go (RFC 2920). */
static void run_pipelined(struct transaction *t)
{
	bool told[XFORWARD_COMMANDS];
	for (unsigned i = 0; i < XFORWARD_COMMANDS; i++)
		told[i] = send_xforward(t, i);
	send_mail(t);
	for (size_t i = 0; i < t->delivery->count; i++)
		if (is_pending(t, i))
			send_rcpt(t, i);
	if (t->extent != TO_RCPT)
		send_data(t);
	for (unsigned i = 0; i < XFORWARD_COMMANDS; i++)
		if (told[i] && !read_xforward_reply(t, i))
			return;
	if (!read_mail_reply(t))
		return;
	for (size_t i = 0; i < t->count; i++)
		if (!read_rcpt_reply(t, t->sent[i]))
			return;
	if (t->extent != TO_RCPT)
		data(t);
}

/* What the message before left behind, or a probe. */
static bool reset(struct transaction *t)
{
	struct session *s = t->session;
	if (!s->unfinished)
		return true;
	session_send(s, "sending RSET", smtp.params.smtp_rset_timeout, STR("RSET"));
	if (!read_reply(t, "sending RSET", smtp.params.smtp_rset_timeout))
		return false;
	s->unfinished = false;
	return true;
}

static bool can_pipeline(const struct transaction *t)
{
	return (t->session->capabilities & CAPABILITY_PIPELINING) != 0 &&
	    t->delivery->count <= FLUSH_EVERY;
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
	rest_failed(t);
	return true;
}

static bool map_addresses(struct transaction *t)
{
	struct delivery *d = t->delivery;
	if (!generic_is_set())
		return true;
	t->mapped = arena_alloc_array(d->arena, d->count + 1, sizeof(*t->mapped));
	bool good = t->mapped != NULL &&
	    generic_map(d->request.sender, d->arena, &t->mapped[d->count]);
	for (size_t i = 0; good && i < d->count; i++)
		good = generic_map(
		    d->recipients[i].request->address, d->arena, &t->mapped[i]);
	return good || why_later(t->why, "4.3.0", "smtp_generic_maps lookup error");
}

static enum extent extent_of(const struct delivery *d)
{
	if ((d->request.flags & DELIVERY_VERIFY) == 0)
		return WHOLE;
	return str_is_nocase(str_of(smtp.params.smtp_address_verify_target), "data")
	    ? TO_DATA
	    : TO_RCPT;
}

void message_send(struct session *s, struct delivery *d, struct why *why)
{
	struct transaction t = {
	    .session = s, .delivery = d, .why = why, .extent = extent_of(d)};
	t.sent = arena_alloc_array(d->arena, d->count, sizeof(*t.sent));
	d->reused = ++s->uses;
	/* The session may be closed before what it delivered is told. */
	d->peer = arena_str(d->arena, s->host.name);
	d->passes_notify = (s->capabilities & CAPABILITY_DSN) != 0;
	d->success = flags_final() && !d->passes_notify ? "delivered" : NULL;
	if (t.sent == NULL)
		(void)why_later(why, "4.3.0", "out of memory for this request");
	if (t.sent == NULL || !map_addresses(&t)) {
		rest_failed(&t);
		return;
	}
	if (is_too_big(&t))
		return;
	reply_init(&t.reply);
	if (reset(&t)) {
		if (can_pipeline(&t))
			run_pipelined(&t);
		else
			run_stepwise(&t);
	}
	if (t.extent != WHOLE && !s->broken)
		(void)reset(&t);
	reply_free(&t.reply);
}
