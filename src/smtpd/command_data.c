/* DATA (RFC 5321 4.1.1.4): the message goes to cleanup as it comes; 250 only after it is
 * safe. */

#include "base/log.h"
#include "mail/received.h"
#include "smtpd/smtpd.h"

#define ATTRIBUTES_MAX 24

struct upload {
	struct session *session;
	struct submission *message;
	/* What access actions had asked for when the envelope was sent. */
	uint32_t flags;
	struct str filter, redirect;
	size_t bcc_count;
	struct data_decoder decoder;
	int64_t size;
	int64_t open; /* bytes of the last line, which is not complete */
	int trouble;  /* cleanup's; what follows is only read to its end */
	bool too_big;
};

static void add_received(struct session *s, struct buf *out)
{
	const struct common_params *common = service_common();
	const struct transaction *t = s->transaction;
	received_write(out,
	    &(struct received){
		.helo = s->helo.len > 0 ? s->helo : s->name,
		.client_name = s->name,
		.client_address = s->address,
		.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.protocol = str_of(session_transmission(s)),
		.queue_id = session_queue_id(s),
		.recipient = t->count == 1 ? t->recipients[0].address : STR_EMPTY,
		.wall_seconds = t->arrival.tv_sec,
		.uid = -1,
	    });
}

struct attributes {
	struct cleanup_attribute list[ATTRIBUTES_MAX];
	uint32_t count;
};

static void attribute(struct attributes *a, const char *name, struct str value)
{
	if (value.len > 0)
		a->list[a->count++] =
		    (struct cleanup_attribute){.name = str_of(name), .value = value};
}

/* In the order of Postfix's queue files. */
static void add_attributes(struct session *s, struct attributes *a)
{
	struct origin origin = origin_of(s);
	attribute(a, "log_ident", origin.ident);
	attribute(
	    a, "rewrite_context", origin_completes(s) ? STR("local") : STR("remote"));
	attribute(a, "sasl_method", s->login.len > 0 ? STR("XCLIENT") : STR_EMPTY);
	attribute(a, "sasl_username", s->login);
	attribute(a, "encoding", s->transaction->body_8bit ? STR("8bit") : STR_EMPTY);
	attribute(a, "log_client_name", origin.name);
	attribute(a, "log_client_address", origin.address);
	attribute(a, "log_client_port", origin.port);
	attribute(a, "log_message_origin", origin.client);
	attribute(a, "log_helo_name", origin.helo);
	attribute(a, "log_protocol_name", origin.protocol);
	attribute(a, "client_name", s->name);
	attribute(a, "reverse_client_name", s->reverse_name);
	attribute(a, "client_address", s->address);
	attribute(a, "client_port", s->port);
	attribute(a, "server_address", s->server_address);
	attribute(a, "server_port", s->server_port);
	attribute(a, "helo_name", s->helo);
	attribute(a, "protocol_name", str_of(session_protocol(s)));
	attribute(a, "client_address_type",
	    net_address_family(&s->peer) == AF_INET6 ? STR("10") : STR("2"));
}

static int begin(struct session *s)
{
	struct transaction *t = s->transaction;
	/* Room for them behind the client's own was made by RCPT. */
	for (size_t i = 0; i < t->bcc_count; i++)
		t->recipients[t->count + i] = (struct cleanup_recipient){
		    .address = t->bcc[i], .notify = DSN_NOTIFY_NEVER};
	CLEANUP(buf_free) struct buf received = BUF_INIT(4096);
	struct attributes attributes = {.count = 0};
	buf_add_str(&received, t->prepend);
	add_received(s, &received);
	add_attributes(s, &attributes);
	struct cleanup_submit envelope = {
	    .flags = t->cleanup_flags | smtpd.receive_flags |
		(origin_completes(s) ? CLEANUP_COMPLETE : 0),
	    .sendopts = t->smtputf8 ? CLEANUP_SENDOPT_SMTPUTF8 : 0,
	    .arrival_seconds = t->arrival.tv_sec,
	    .arrival_microseconds = (uint32_t)t->arrival.tv_usec,
	    .sender = t->sender,
	    .filter = t->filter.len > 0 ? t->filter : str_of(smtpd.params.content_filter),
	    .redirect = t->redirect,
	    .verp = t->verp,
	    .envelope_id = t->envelope_id,
	    .ret = t->ret,
	    .client = s->client_text,
	    .helo = s->helo,
	    .protocol = str_of(session_protocol(s)),
	    .attributes = attributes.list,
	    .attributes_count = attributes.count,
	    .recipients = t->recipients,
	    .recipients_count = t->count + (uint32_t)t->bcc_count,
	    .received = buf_str(&received),
	};
	return submission_begin(t->message, &envelope);
}

/* What the log tells of a text that broke off: only complete lines count. */
static void count_bytes(struct upload *u, struct str text)
{
	ptrdiff_t last = str_find_last(text, '\n');
	u->open = last < 0 ? u->open + (int64_t)text.len : (int64_t)text.len - (last + 1);
	u->session->transaction->bytes = u->size - u->open + u->decoder.lines;
}

/* Decodes what has arrived and hands it on. */
static void take(struct upload *u, const char *bytes, size_t len)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(STREAM_BUFFER * 2);
	int64_t limit = service_common()->message_size_limit;
	(void)buf_reserve(&text, len);
	size_t used = data_decode(&u->decoder, (struct str){bytes, len}, &text);
	stream_skip(u->session->stream, used);
	u->size += (int64_t)text.len;
	count_bytes(u, buf_str(&text));
	u->too_big = u->too_big || (limit > 0 && u->size > limit);
	if (u->trouble == 0 && !u->too_big)
		u->trouble = submission_add(u->message, buf_str(&text));
}

/* Reads to the end of data, come what may. 0, or the stream's error. */
static int receive(struct upload *u)
{
	struct stream *stream = u->session->stream;
	session_limit(u->session, smtpd.params.smtpd_min_data_rate);
	while (!u->decoder.ended) {
		const char *bytes;
		ssize_t len = stream_peek(stream, 1, &bytes);
		if (len < 0)
			return (int)len;
		take(u, bytes, (size_t)len);
	}
	return 0;
}

/* What the postmaster would call it. */
static enum notice_class class_of(enum cleanup_status status)
{
	switch (status) {
	case CLEANUP_CONTENT:
	case CLEANUP_DEFER:
		return NOTICE_POLICY;
	case CLEANUP_TOO_BIG:
	case CLEANUP_HOPS:
	case CLEANUP_NO_RECIPIENTS:
		return NOTICE_BOUNCE;
	case CLEANUP_BAD:
		return NOTICE_SOFTWARE;
	case CLEANUP_OK:
	case CLEANUP_WRITE_ERROR:
	case CLEANUP_NO_SPACE:
	case CLEANUP_TABLE:
		break;
	}
	return NOTICE_RESOURCE;
}

static void reply_result(struct session *s, const struct cleanup_result *r)
{
	struct cleanup_reply reply = cleanup_result_reply(r);
	if (r->status == CLEANUP_OK) {
		CLEANUP(buf_free) struct buf text = BUF_INIT(sizeof(r->id) + 32);
		buf_add_cstr(&text, "Ok: queued as ");
		buf_add_cstr(&text, r->id);
		session_reply(s, reply.code, reply.dsn, buf_str(&text));
		/* Who delivers mail is forgiven what went before. */
		s->errors = s->junk = s->trouble = 0;
	} else
		session_refuse(
		    s, class_of(r->status), reply.code, reply.dsn, "%s", reply.text);
}

/* Whom lists and log lines can speak of when the message as a whole is judged. */
static const struct str *only_recipient(const struct transaction *t)
{
	return t->count == 1 ? &t->recipients[0].address : NULL;
}

/* What access actions asked for since the envelope was sent; most often nothing. */
static int add_late(const struct transaction *t, const struct upload *u)
{
	struct cleanup_recipient copies[BCC_MAX];
	struct cleanup_late late = {
	    .flags = t->cleanup_flags & ~u->flags,
	    .filter = str_equal(t->filter, u->filter) ? STR_EMPTY : t->filter,
	    .redirect = str_equal(t->redirect, u->redirect) ? STR_EMPTY : t->redirect,
	    .copies = copies,
	};
	for (size_t i = u->bcc_count; i < t->bcc_count; i++)
		copies[late.copies_count++] = (struct cleanup_recipient){
		    .address = t->bcc[i], .notify = DSN_NOTIFY_NEVER};
	bool nothing = late.flags == 0 && late.filter.len == 0 &&
	    late.redirect.len == 0 && late.copies_count == 0;
	return nothing ? 0 : submission_late(u->message, &late);
}

static void finish(struct session *s, struct upload *u)
{
	struct cleanup_result result;
	if (u->too_big) {
		log_warning(
		    "%.*s: queue file size limit exceeded", STR_ARG(session_queue_id(s)));
		session_refuse(
		    s, NOTICE_BOUNCE, 552, "5.3.4", "Error: message file too big");
		return;
	}
	if (u->decoder.saw_bare_lf && session_forbids_bare_newline(s)) {
		session_refuse_bare_newline(s);
		return;
	}
	if (restriction_refuses(s, STAGE_END_OF_DATA, only_recipient(s->transaction)))
		return;
	if (u->trouble == 0)
		u->trouble = add_late(s->transaction, u);
	if (u->trouble == 0)
		u->trouble = submission_finish(u->message, &result);
	if (u->trouble == 0) {
		reply_result(s, &result);
		return;
	}
	log_warning("%.*s: the message was not taken: %s", STR_ARG(session_queue_id(s)),
	    strerror(-u->trouble));
	session_refuse(s, NOTICE_RESOURCE, 451, "4.3.0", "Error: queue file write error");
}

/* False: the connection broke. */
static bool upload(struct session *s)
{
	const struct transaction *t = s->transaction;
	struct upload u = {
	    .session = s,
	    .message = t->message,
	    .flags = t->cleanup_flags,
	    .filter = t->filter,
	    .redirect = t->redirect,
	    .bcc_count = t->bcc_count,
	};
	data_decoder_init(&u.decoder,
	    s->bare_newline_allowed ? BARE_NEWLINE_ALLOW : smtpd.bare_newline);
	u.trouble = begin(s);
	session_reply(s, 354, "", STR("End data with <CR><LF>.<CR><LF>"));
	session_limit(s, STREAM_WHOLE);
	s->transaction->receiving = true;
	/* The command loop finds the error again. */
	if (stream_flush(s->stream) != 0 || receive(&u) != 0)
		return false;
	finish(s, &u);
	transcript_shorten(s);
	s->message_ended = true;
	return true;
}

void command_data(struct session *s, struct str arguments)
{
	if (arguments.len > 0) {
		session_error(s, 501, "5.5.4", "Syntax: DATA");
		return;
	}
	if (s->transaction == NULL || s->transaction->count == 0) {
		if (s->transaction != NULL)
			session_refuse(
			    s, NOTICE_NONE, 554, "5.5.1", "Error: no valid recipients");
		else
			session_error(s, 503, "5.5.1", "Error: need RCPT command");
		return;
	}
	if (restriction_refuses(s, STAGE_DATA, only_recipient(s->transaction)))
		return;
	/* A broken connection keeps the transaction for its log line; all other ends
	 * replace it. */
	if (upload(s))
		transaction_end(s);
	else
		s->command_failed = true;
}
