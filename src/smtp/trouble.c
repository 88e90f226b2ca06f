/* The words for what went wrong, as administrators and log tools know them. */
#include <errno.h>
#include <string.h>

#include "smtp/smtp.h"

void host_text(struct buf *out, const struct host *h, bool with_port)
{
	buf_printf(out, "%.*s[", STR_ARG(h->name));
	net_address_add_text(out, &h->address);
	buf_add_char(out, ']');
	if (with_port)
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

bool trouble_said(
    struct why *why, const struct session *s, const struct reply *r, const char *command)
{
	bool later = reply_class(r) == 4;
	char status[DSN_STATUS_MAX];
	if (!str_to_cstr(str_of(r->status[0] != '\0' ? r->status
				 : later             ? "4.0.0"
						     : "5.0.0"),
		status, sizeof(status)))
		status[0] = '\0';
	(void)(later ? why_later : why_never)(why, status,
	    "host %s said: %s (in reply to %s command)", s->peer, buf_cstr(&r->text),
	    command);
	why_remote(why, s->host.name, buf_str(&r->text));
	return false;
}
