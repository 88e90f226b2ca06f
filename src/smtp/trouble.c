/* The words for what went wrong, as administrators and log tools know them. */
#include <errno.h>
#include <string.h>

#include "smtp/smtp.h"

#define SAID_MAX 2048

void host_text(struct buf *out, const struct host *h, bool with_port)
{
	buf_printf(out, "%.*s[", STR_ARG(h->name));
	net_address_add_text(out, &h->address);
	buf_add_char(out, ']');
	if (with_port && net_address_family(&h->address) != AF_UNIX)
		buf_printf(out, ":%u", net_address_port(&h->address));
}

bool trouble_connect(struct why *why, const struct host *h, int error)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	host_text(&text, h, true);
	return why_later(why, "4.4.1", "connect to %s: %s", buf_cstr(&text),
	    error == -ETIMEDOUT ? "Connection timed out" : strerror(-error));
}

bool trouble_lost(struct why *why, const struct session *s, int error)
{
	if (error == -ETIMEDOUT)
		return why_later(why, "4.4.2", "conversation with %s timed out while %s",
		    s->peer, s->doing);
	if (error == -EBADMSG)
		return why_later(why, "4.5.0",
		    "protocol error: %s sent no SMTP reply while %s", s->peer, s->doing);
	return why_later(
	    why, "4.4.2", "lost connection with %s while %s", s->peer, s->doing);
}

/* What a log line and a notice can hold of a reply. */
static struct str reply_text(const struct reply *r)
{
	return str_slice(buf_str(&r->text), 0, SAID_MAX);
}

/* The enhanced status that the server gave, else X.0.0; X.5.0 when the code fits no
 * failure (RFC 5321 4.3.2). The first digit is made to fit by why_later and why_never. */
static const char *status_of(const struct reply *r)
{
	if (r->status[0] != '\0' && (reply_class(r) == 4 || reply_class(r) == 5))
		return r->status;
	return reply_class(r) == 4 || reply_class(r) == 5 ? "5.0.0" : "5.5.0";
}

bool trouble_refused(
    struct why *why, const struct session *s, const struct reply *r, bool skip)
{
	bool later = reply_class(r) == 4 || skip;
	(void)(later ? why_later : why_never)(why, status_of(r),
	    "host %s refused to talk to me: %.*s", s->peer, STR_ARG(reply_text(r)));
	why_remote(why, s->host.name, reply_text(r));
	return false;
}

bool trouble_said(
    struct why *why, const struct session *s, const struct reply *r, const char *command)
{
	bool later = reply_class(r) == 4;
	(void)(later ? why_later : why_never)(why, status_of(r),
	    "host %s said: %.*s (in reply to %s command)", s->peer,
	    STR_ARG(reply_text(r)), command);
	why_remote(why, s->host.name, reply_text(r));
	return false;
}
