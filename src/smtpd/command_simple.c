/* Commands that do little: RSET, NOOP, VRFY, HELP, QUIT, and those we refuse. */
#include "base/log.h"
#include "smtpd/smtpd.h"

void command_rset(struct session *s, struct str arguments)
{
	if (arguments.len > 0) {
		session_error(s, 501, "5.5.4", "Syntax: RSET");
		return;
	}
	transaction_end(s);
	session_reply(s, 250, "2.0.0", STR("Ok"));
}

void command_noop(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 250, "2.0.0", STR("Ok"));
}

/* RFC 5321 3.5.1 lets a name stand before the address: "Full Name <user@example.com>". */
static struct str mailbox_of(struct str text)
{
	ptrdiff_t open = str_ends(text, STR(">")) ? str_find_last(text, '<') : -1;
	return open > 0 ? str_skip(text, (size_t)open) : text;
}

static void verify(struct session *s, struct str arguments)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX);
	bool enabled = service_common()->smtputf8_enable;
	bool declared = enabled && str_ends_nocase(arguments, STR(" SMTPUTF8"));
	struct str rest, text = arguments;
	if (declared)
		text = str_trim(str_slice(arguments, 0, arguments.len - 9));
	if (!address_path_parse(mailbox_of(text),
		(struct address_path_rules){.utf8_ok = true}, &address, &rest) ||
	    rest.len > 0) {
		log_warning("Illegal address syntax from %.*s in VRFY command: %.*s",
		    STR_ARG(s->client_text), str_print_length(text), text.p);
		session_error(s, 501, "5.1.3", "Bad recipient address syntax");
		return;
	}
	if (!session_takes_address(s, buf_str(&address), declared, "recipient"))
		return;
	if (!restriction_refuses_recipient(s, buf_str(&address)))
		session_reply(s, 252, "2.0.0", text);
}

/* RFC 5321 3.5: tables are asked, nobody is told who has a mailbox beyond that. */
void command_vrfy(struct session *s, struct str arguments)
{
	if (smtpd.params.disable_vrfy_command) {
		session_error(s, 502, "5.5.1", "VRFY command is disabled");
		return;
	}
	if (arguments.len == 0) {
		session_error(s, 501, "5.5.4", "Syntax: VRFY address [SMTPUTF8]");
		return;
	}
	verify(s, arguments);
}

void command_help(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 214, "2.0.0",
	    STR("Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY "
		"XCLIENT XFORWARD"));
}

void command_quit(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 221, "2.0.0", STR("Bye"));
	s->end = SESSION_QUIT;
}

void command_unknown(struct session *s, UNUSED struct str arguments)
{
	session_error(s, 500, "5.5.2", "Error: command not recognized");
}

void command_not_built(struct session *s, UNUSED struct str arguments)
{
	session_error(s, 502, "5.5.1", "Error: command not implemented");
}

void command_no_auth(struct session *s, UNUSED struct str arguments)
{
	session_error(s, 503, "5.5.1", "Error: authentication not enabled");
}
