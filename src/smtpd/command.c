/* The commands that the server knows (RFC 5321 4.1), in the order of the log's
 * statistics. */
#include "base/memory.h"
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
	char first = verb.len > 0 ? ascii_upper(verb.p[0]) : '\0';
	for (size_t i = 0; i < last; i++)
		if (first == command_rows[i].verb[0] &&
		    str_is_nocase(verb, command_rows[i].verb))
			return &command_rows[i];
	return &command_rows[last];
}

static bool is_listed(struct str verb)
{
	return match_list_string(smtpd.forbidden_commands, verb) == TABLE_FOUND;
}

void command_find_forbidden(void)
{
	if (!match_list_is_constant(smtpd.forbidden_commands))
		return;
	smtpd.forbidden = memory_alloc_array(command_count, sizeof(*smtpd.forbidden));
	for (size_t i = 0; i < command_count - 1; i++)
		smtpd.forbidden[i] = is_listed(str_of(command_rows[i].verb));
}

bool command_is_forbidden(const struct command_row *row, struct str verb)
{
	bool known = row->verb[0] != '\0' && smtpd.forbidden != NULL;
	return known ? smtpd.forbidden[row - command_rows] : is_listed(verb);
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
