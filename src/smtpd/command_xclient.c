/* XCLIENT: the client speaks for another one, whose session begins anew. XFORWARD: the
 * next message comes from elsewhere, which is for the log and for those behind us. Both
 * are for clients that the configuration names. */
#include "smtpd/smtpd.h"

/* Reads into what `values` holds. */
static bool read_attributes(struct session *s, const struct client_attribute_set *set,
    bool allowed, struct str arguments, struct client_attributes *values)
{
	const char *verb = s->last_command->verb;
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	if (s->transaction != NULL)
		session_error(s, 503, "5.5.1", "Error: MAIL transaction in progress");
	else if (str_trim(arguments).len == 0)
		session_error(s, 501, "5.5.4", "Syntax: %s attribute=value...", verb);
	else if (!allowed)
		session_error(s, 550, "5.7.0", "Error: insufficient authorization");
	else if (!client_attribute_read(set, smtpd.ipv6, arguments, values, &error))
		session_error(s, 501, "5.5.4", "%s", buf_cstr(&error));
	else
		return true;
	return false;
}

/* The new session's first words are ours: what is here already was said too early. It
 * counts as a command that did no good, as with Postfix. */
void command_xclient(struct session *s, struct str arguments)
{
	struct client_attributes said = {.said = 0};
	if (!read_attributes(
		s, &client_attribute_xclient, s->xclient_allowed, arguments, &said))
		return;
	origin_forget(s);
	restriction_forget(s);
	identity_assume(s, &said);
	session_greet(s);
	s->command_failed = true;
}

void command_xforward(struct session *s, struct str arguments)
{
	struct client_attributes said = {.said = 0};
	if (s->forwarded != NULL)
		said = *s->forwarded;
	if (!read_attributes(
		s, &client_attribute_xforward, s->xforward_allowed, arguments, &said))
		return;
	origin_take(s, &said);
	session_reply(s, 250, "2.0.0", STR("Ok"));
}
