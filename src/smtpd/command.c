/* The commands that the server knows (RFC 5321 4.1), in the order of the log's
 * statistics. */
#include "smtpd/smtpd.h"

const struct command_row command_rows[] = {
    {"HELO", "HELO", command_helo, COMMAND_JUNK | COMMAND_BEGINS_ANEW},
    {"EHLO", "EHLO", command_ehlo, COMMAND_JUNK | COMMAND_BEGINS_ANEW},
    {"XCLIENT", "XCLIENT", command_xclient, COMMAND_PIPELINED | COMMAND_BEGINS_ANEW},
    {"XFORWARD", "XFORWARD", command_xforward, COMMAND_PIPELINED},
    {"STARTTLS", "STARTTLS", command_not_built, 0},
    {"AUTH", "AUTH", command_no_auth, 0},
    {"MAIL", "MAIL", command_mail, COMMAND_PIPELINED},
    {"RCPT", "RCPT", command_rcpt, COMMAND_PIPELINED},
    {"DATA", "DATA", command_data, 0},
    {"BDAT", "BDAT", command_not_built, 0},
    {"RSET", "RSET", command_rset,
	COMMAND_PIPELINED | COMMAND_JUNK | COMMAND_BEGINS_ANEW},
    {"NOOP", "NOOP", command_noop, COMMAND_JUNK},
    {"VRFY", "VRFY", command_vrfy, COMMAND_JUNK},
    {"ETRN", "ETRN", command_etrn, COMMAND_JUNK},
    {"QUIT", "QUIT", command_quit, COMMAND_LAST_WORD},
    {"HELP", "HELP", command_help, 0},
    {"", "UNKNOWN", command_unknown, 0},
};
const size_t command_count = ARRAY_SIZE(command_rows);

const struct command_row *command_find(struct str verb)
{
	size_t last = command_count - 1;
	for (size_t i = 0; i < last; i++)
		if (str_is_nocase(verb, command_rows[i].verb))
			return &command_rows[i];
	return &command_rows[last];
}

bool command_refuse(struct session *s, int code, const char *status, const char *text)
{
	session_error(s, code, status, "%s", text);
	return false;
}

bool command_refuse_option(struct session *s, struct str name, struct str value)
{
	bool has_value = value.p != NULL;
	session_error(s, 555, "5.5.4", "Unsupported option: %.*s%s%.*s", STR_ARG(name),
	    has_value ? "=" : "", has_value ? str_print_length(value) : 0,
	    has_value ? value.p : "");
	return false;
}
