/* The commands that tell whose mail it is and for whom (RFC 5321 4.1.1, 3461, 6531). */
#include "smtp/smtp.h"
#include "smtp_wire/capability.h"

/* Without smtp_quote_rfc821_envelope as it is inside: for servers that read no quotes. */
static void add_path(struct buf *line, struct str address)
{
	buf_add_char(line, '<');
	if (smtp.params.smtp_quote_rfc821_envelope)
		address_quote(line, address);
	else
		buf_add_str(line, address);
	buf_add_char(line, '>');
}

static void add_mail_parameters(
    struct buf *line, uint32_t can, const struct delivery_request *r)
{
	if (can & CAPABILITY_SIZE)
		buf_printf(line, " SIZE=%lld", (long long)r->size);
	if ((can & CAPABILITY_8BITMIME) && str_is(r->encoding, "8bit"))
		buf_add_cstr(line, " BODY=8BITMIME");
	if ((can & CAPABILITY_SMTPUTF8) &&
	    (r->sendopts & DELIVERY_SMTPUTF8)) /* RFC 6531 */
		buf_add_cstr(line, " SMTPUTF8");
	if (!(can & CAPABILITY_DSN))
		return;
	if (r->envelope_id.len > 0) {
		buf_add_cstr(line, " ENVID=");
		xtext_encode(line, r->envelope_id);
	}
	if (r->ret != DSN_RET_DEFAULT)
		buf_add_cstr(line, r->ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
}

static void add_rcpt_parameters(struct buf *line, const struct delivery_recipient *r)
{
	ptrdiff_t semicolon = str_find(r->dsn_orcpt, ';');
	if (semicolon > 0) {
		buf_add_cstr(line, " ORCPT=");
		buf_add_str(line, str_slice(r->dsn_orcpt, 0, (size_t)semicolon + 1));
		xtext_encode(line, str_skip(r->dsn_orcpt, (size_t)semicolon + 1));
	}
	if (r->notify != 0) {
		buf_add_cstr(line, " NOTIFY=");
		dsn_notify_add(line, r->notify);
	}
}

void envelope_mail(struct buf *line, const struct session *s, const struct delivery *d,
    struct str address)
{
	buf_add_cstr(line, "MAIL FROM:");
	add_path(line, address);
	add_mail_parameters(line, s->capabilities, &d->request);
}

void envelope_rcpt(struct buf *line, const struct session *s,
    const struct delivery_recipient *r, struct str address)
{
	buf_add_cstr(line, "RCPT TO:");
	add_path(line, address);
	if (s->capabilities & CAPABILITY_DSN)
		add_rcpt_parameters(line, r);
}

static void add_client_attribute(
    struct buf *line, const struct delivery *d, enum xforward_attribute which)
{
	struct str value =
	    str_of(queue_attribute(&d->envelope, xforward_attribute(which)));
	if (value.len == 0 || str_is(value, "unknown"))
		return;
	buf_printf(line, " %s=", xforward_name(which));
	if (which == XFORWARD_SOURCE)
		buf_add_cstr(line, str_is(value, "local") ? "LOCAL" : "REMOTE");
	else
		xtext_encode(line, value);
}

void envelope_xforward(struct buf *line, const struct session *s,
    const struct delivery *d, enum xforward_command which)
{
	static const struct {
		enum xforward_attribute from, to;
	} parts[XFORWARD_COMMANDS] = {
	    [XFORWARD_CLIENT] = {XFORWARD_NAME, XFORWARD_PORT},
	    [XFORWARD_SESSION] = {XFORWARD_PROTO, XFORWARD_SOURCE},
	};
	CLEANUP(buf_free) struct buf attributes = BUF_INIT(4096);
	for (unsigned i = parts[which].from; i <= parts[which].to; i++)
		if (s->xforward & 1U << i)
			add_client_attribute(&attributes, d, i);
	if (attributes.len > 0)
		buf_printf(line, "XFORWARD%s", buf_cstr(&attributes));
}
