/* Commands that do little: RSET, NOOP, VRFY, HELP, QUIT, and those we refuse. */
#include "smtpd/smtpd.h"

void command_rset(struct session *s, struct str arguments)
{
	if (arguments.len > 0) {
		session_error(s, 501, "5.5.4", "Syntax: RSET");
		return;
	}
	transaction_end(s);
	session_reply(s, 250, "2.0.0", "Ok");
}

void command_noop(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 250, "2.0.0", "Ok");
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
	struct arena *a = arena_new(65536);
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(4096);
	struct str rest;
	struct resolved resolved;
	if (!address_path_parse(arguments, (struct address_path_rules){.utf8_ok = true},
		&address, &rest) ||
	    rest.len > 0)
		session_error(s, 501, "5.1.3", "Bad recipient address syntax");
	else if (recipient_resolve(STR_EMPTY, buf_str(&address), a, &resolved) != 0)
		session_error(s, 451, "4.3.0", "Temporary lookup failure");
	else if (!recipient_is_listed(buf_str(&address), &resolved, &reply))
		session_error_text(s, buf_str(&reply));
	else
		session_reply(s, 252, "2.0.0", "%.*s", STR_ARG(arguments));
	arena_free(a);
}

void command_help(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 214, "2.0.0",
	    "Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY "
	    "XCLIENT XFORWARD");
}

void command_quit(struct session *s, UNUSED struct str arguments)
{
	session_reply(s, 221, "2.0.0", "Bye");
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

void command_no_authority(struct session *s, UNUSED struct str arguments)
{
	session_error(s, 550, "5.7.0", "Error: insufficient authorization");
}
