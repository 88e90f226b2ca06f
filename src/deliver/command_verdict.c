/* What the end of a command means for the mail: sysexits.h, and enhanced status codes in
 * its output (RFC 3463). */
#include <sys/wait.h>
#include <sysexits.h>

#include "deliver/command.h"
#include "mail/dsn.h"

static const struct verdict {
	int status;
	const char *code, *text;
} verdicts[] = {
    {EX_USAGE, "5.3.0", "command line usage error"},
    {EX_DATAERR, "5.6.0", "data format error"},
    {EX_NOINPUT, "5.3.0", "cannot open input"},
    {EX_NOUSER, "5.1.1", "user unknown"},
    {EX_NOHOST, "5.1.2", "host name unknown"},
    {EX_UNAVAILABLE, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, "5.3.0", "internal software error"},
    {EX_OSERR, "4.3.0", "system resource problem"},
    {EX_OSFILE, "5.3.0", "critical OS file missing"},
    {EX_CANTCREAT, "5.2.0", "can't create user output file"},
    {EX_IOERR, "5.3.0", "input/output error"},
    {EX_TEMPFAIL, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, "5.5.0", "remote error in protocol"},
    {EX_NOPERM, "5.7.0", "permission denied"},
    {EX_CONFIG, "5.3.5", "local configuration error"},
};

static const struct verdict *verdict_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (WIFEXITED(status) && verdicts[i].status == WEXITSTATUS(status))
			return &verdicts[i];
	return NULL;
}

static bool say(struct why *why, const char *code, struct str text)
{
	return (code[0] == '4' ? why_later : why_never)(why, code, "%.*s", STR_ARG(text));
}

/* Its own code is taken for its own text; one of success fits no failure. */
static bool say_own(
    struct str output, size_t code_length, const char *usual, struct why *why)
{
	char code[DSN_STATUS_MAX];
	struct str text = str_skip(output, code_length);
	if (!str_to_cstr(str_slice(output, 0, code_length), code, sizeof(code)) ||
	    code[0] == '2')
		code[0] = '\0';
	while (text.len > 0 && text.p[0] == ' ')
		text = str_skip(text, 1);
	if (code[0] != '\0')
		return say(why, code, text);
	return say(why, usual[0] == '4' ? "4.0.0" : "5.0.0", text);
}

bool command_verdict(
    int status, const char *shown, const struct buf *output, struct why *why)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(COMMAND_OUTPUT_MAX + WHY_TEXT_MAX);
	const struct verdict *v = verdict_of(status);
	const char *code = v != NULL ? v->code : "5.3.0";
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (v != NULL) {
		buf_add_cstr(&text, v->text);
	} else if (WIFEXITED(status)) {
		buf_printf(&text, "Command died with status %d: \"%s\"",
		    WEXITSTATUS(status), shown);
	} else {
		code = "4.3.0";
		buf_printf(&text, "Command died with signal %d: \"%s\"", WTERMSIG(status),
		    shown);
	}
	size_t own = WIFEXITED(status) ? dsn_status_at(buf_str(output)) : 0;
	if (own > 0) {
		(void)say_own(buf_str(output), own, code, why);
	} else {
		if (output->len > 0)
			buf_printf(
			    &text, ". Command output: %.*s", STR_ARG(buf_str(output)));
		(void)say(why, code, buf_str(&text));
	}
	if (output->len == 0 && !WIFEXITED(status))
		return false;
	buf_add_cstr(&why->diag_type, "x-unix");
	if (output->len > 0)
		buf_add_str(&why->diag_text, str_trim(buf_str(output)));
	else if (v != NULL)
		buf_add_cstr(&why->diag_text, v->text);
	else
		buf_printf(
		    &why->diag_text, "unknown mail system error %d", WEXITSTATUS(status));
	return false;
}

void command_printable(struct buf *text)
{
	struct str rest = buf_str(text);
	for (size_t i = 0; i < text->len;) {
		size_t length = str_utf8_length(str_skip(rest, i));
		char *c = &text->p[i];
		if (length > 1) {
			i += length;
			continue;
		}
		if (ascii_is_space(*c))
			*c = ' ';
		else if (!ascii_is_print(*c))
			*c = '_';
		i++;
	}
}
