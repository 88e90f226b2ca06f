/* The options of Sendmail that programs use; those without meaning here are taken and
 * ignored. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "mail/dsn.h"
#include "sendmail/sendmail.h"

/* -oi, -o8, -om, ... : one letter, perhaps with a value. */
static void option_o(struct sendmail *s, const char *value)
{
	if (value[0] == 'i')
		s->dot_ends = false;
	else if (value[0] == '8')
		s->body_8bit = true;
}

static void option_b(struct sendmail *s, const char *value)
{
	switch (value[0]) {
	case 'm':
	case 'p':
	case 'd':
	case 'i':
	case 's':
	case 'v':
		s->mode = (enum sendmail_mode)value[0];
		break;
	case 'l':
		s->mode = MODE_DAEMON;
		break;
	case 'h':
	case 'H':
		break;
	default:
		fatal("unsupported: -b%s", value);
	}
}

/* -q: flush; -q30m: how often, which is the queue manager's business; -qI, -qR: one
 * message or site. */
static void option_q(struct sendmail *s, const char *value)
{
	switch (value[0]) {
	case '\0':
		s->mode = MODE_FLUSH;
		break;
	case 'I':
	case 'R':
		if (value[1] == '\0')
			fatal(value[0] == 'I' ? "specify: -qIqueueid"
					      : "specify: -qRsitename");
		fatal("-q%c needs the flush service, which is not built yet", value[0]);
	case 'S':
		fatal("-qS is not implemented");
	default:
		if (!ascii_is_digit(value[0]))
			fatal("-q option: bad value \"%s\"", value);
	}
}

static void option_notify(struct sendmail *s, const char *value)
{
	if (dsn_notify_parse(str_of(value), &s->notify))
		return;
	log_warning("unknown DSN NOTIFY command value in \"%s\"", value);
	log_warning("bad -N option value -- ignored");
}

static void option_ret(struct sendmail *s, const char *value)
{
	if (!dsn_ret_parse(str_of(value), &s->ret))
		log_warning("bad -R option value -- ignored");
}

static void option_body(struct sendmail *s, const char *value)
{
	if (strcasecmp(value, "8BITMIME") == 0)
		s->body_8bit = true;
	else if (strcasecmp(value, "7BIT") != 0)
		log_warning("bad -B option value -- ignored");
}

static void take(struct sendmail *s, int option, const char *value)
{
	switch (option) {
	case 'b':
		option_b(s, value);
		break;
	case 'q':
		option_q(s, value);
		break;
	case 'o':
		option_o(s, value);
		break;
	case 'N':
		option_notify(s, value);
		break;
	case 'R':
		option_ret(s, value);
		break;
	case 'B':
		option_body(s, value);
		break;
	case 'c':
	case 'C':
		s->directory = value;
		break;
	case 'f':
	case 'r':
		s->sender = value;
		break;
	case 'F':
		s->full_name = value;
		break;
	case 'V':
		s->envelope_id = value;
		break;
	case 't':
		s->extract = true;
		break;
	case 'i':
		s->dot_ends = false;
		break;
	case 'I':
		s->mode = MODE_ALIASES;
		break;
	case 'v':
		log_verbose(0); /* a report by mail is not built yet */
		break;
	default:
		break; /* -A -G -h -L -m -n -O -p -U -x -X: taken and ignored */
	}
}

/* -q takes its value only when it is glued to it; getopt's "::" does that. */
void sendmail_options(struct sendmail *s, int argc, char **argv)
{
	const char *name =
	    strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	int option;
	*s = (struct sendmail){.mode = MODE_SUBMIT, .dot_ends = true};
	if (strcmp(name, "mailq") == 0)
		s->mode = MODE_LIST;
	else if (strcmp(name, "newaliases") == 0)
		s->mode = MODE_ALIASES;
	while ((option = getopt(argc, argv,
		    "A:B:C:c:F:GIL:N:O:R:UV:X:b:f:h:imno:p:q::r:tvx")) != -1) {
		if (option == '?')
			fatal("usage: sendmail [options]");
		take(s, option, optarg != NULL ? optarg : "");
	}
	s->first_operand = optind;
}
