/* The options of Sendmail that programs use; those without meaning here are taken and
 * ignored, as Postfix does. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "mail/dsn.h"
#include "sendmail/sendmail.h"

/* Stops at the first operand, as ever. -q takes a value only when it is glued to it. */
static const char letters[] = "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx";

/* -C names the directory, or a file in it. */
static const char *directory_of(const char *path)
{
	struct stat status;
	struct str all = str_of(path);
	ptrdiff_t slash = str_find_last(all, '/');
	struct str base = str_skip(all, (size_t)(slash + 1));
	bool is_file = stat(path, &status) == 0 && S_ISREG(status.st_mode);
	if (!is_file && !str_is(base, "main.cf"))
		return path;
	if (slash < 0)
		return ".";
	char *directory = memory_copy_cstr(path);
	directory[slash > 0 ? slash : 1] = '\0';
	return directory;
}

/* -c is ours, as in our other commands, when an absolute path follows; Sendmail's own -c
 * has no value, and means nothing any more. NULL: that one. */
static const char *own_directory(int argc, char **argv)
{
	if (optind >= argc || argv[optind][0] != '/' ||
	    !str_is(str_of(argv[optind - 1]), "-c"))
		return NULL;
	return argv[optind++];
}

const char *options_directory(int argc, char **argv)
{
	const char *directory = NULL;
	const char *own;
	int option;
	int verbosity = 0;
	while ((option = getopt(argc, argv, letters)) != -1) {
		if (option == 'C')
			directory = directory_of(optarg);
		else if (option == 'c' && (own = own_directory(argc, argv)) != NULL)
			directory = own;
		else if (option == 'v')
			verbosity++;
	}
	log_verbose(verbosity > 1 ? verbosity - 1 : 0); /* the first asks for a report */
	return directory;
}

static void option_b(struct sendmail_options *o, const char *value)
{
	static const struct {
		char letter;
		enum sendmail_mode mode;
	} modes[] = {
	    {'m', MODE_SUBMIT},
	    {'p', MODE_LIST},
	    {'d', MODE_DAEMON},
	    {'l', MODE_DAEMON},
	    {'i', MODE_ALIASES},
	    {'s', MODE_STAND_ALONE},
	    {'v', MODE_VERIFY},
	    {'h', MODE_NOTHING},
	    {'H', MODE_NOTHING},
	};
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (value[0] == modes[i].letter) {
			o->mode = modes[i].mode;
			return;
		}
	fatal("unsupported: -b%c", value[0]);
}

/* -q30m says how often to look into the queue, which is the queue manager's business. */
static void option_q(struct sendmail_options *o, const char *value)
{
	if (value == NULL || value[0] == '\0') {
		o->mode = MODE_FLUSH;
	} else if (ascii_is_digit(value[0])) {
		if (o->mode == MODE_SUBMIT)
			o->mode = MODE_NOTHING;
	} else if (value[0] == 'R') {
		o->mode = MODE_FLUSH_SITE;
		o->argument = value + 1;
		if (o->argument[0] == '\0')
			fatal("specify: -qRsitename");
	} else if (value[0] == 'I') {
		o->mode = MODE_FLUSH_ID;
		o->argument = value + 1;
		if (o->argument[0] == '\0')
			fatal("specify: -qIqueueid");
	} else {
		fatal("-q%c is not implemented", value[0]);
	}
}

static void set_verp(struct sendmail_options *o, const char *value)
{
	const char *filter = sendmail_params.verp_delimiter_filter;
	if (value[0] == '\0')
		value = sendmail_params.default_verp_delimiters;
	if (strlen(value) != 2 || strchr(filter, value[0]) == NULL ||
	    strchr(filter, value[1]) == NULL)
		fatal("-V requires two characters from %s", filter);
	o->verp = value;
}

/* An envelope id; or, with two characters, what asked for VERP once: then the characters
 * were glued to the option, or it had no value. */
static void option_v_capital(struct sendmail_options *o, char **argv)
{
	if (strlen(optarg) > DSN_ENVID_MAX) {
		log_warning("too long -V option value -- ignored");
		return;
	}
	if (strlen(optarg) != 2) {
		if (optarg[0] == '\0' || str_has_control(str_of(optarg)))
			log_warning("bad syntax in -V option value -- ignored");
		else
			o->envelope_id = optarg;
		return;
	}
	bool glued = optarg != argv[optind - 1];
	const char *value = glued ? optarg : "";
	log_warning("option -V%s is deprecated with Postfix 2.3; specify -XV%s instead",
	    value, value);
	if (!glued)
		optind--;
	set_verp(o, value);
}

static void option_n_capital(struct sendmail_options *o, const char *value)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(strlen(value) + 1);
	uint32_t flags = 0;
	struct str rest = str_of(value), word;
	while (str_next(&rest, ", \t\r\n", &word)) {
		if (list.len > 0)
			buf_add_char(&list, ',');
		buf_add_str(&list, word);
	}
	if (dsn_notify_parse(buf_str(&list), &flags)) {
		o->notify = flags;
		return;
	}
	rest = str_of(value);
	while (str_next(&rest, ", \t\r\n", &word))
		if (!str_is_nocase(word, "never") && !str_is_nocase(word, "success") &&
		    !str_is_nocase(word, "failure") && !str_is_nocase(word, "delay"))
			log_warning("unknown DSN NOTIFY command value \"%.*s\" in \"%s\"",
			    STR_ARG(word), value);
	log_warning("bad -N option value -- ignored");
}

static void option_body(struct sendmail_options *o, const char *value)
{
	if (str_is(str_of(value), "8BITMIME"))
		o->encoding = "8bit";
	else if (str_is(str_of(value), "7BIT"))
		o->encoding = "7bit";
	else
		fatal("-B option needs 8BITMIME or 7BIT");
}

static void option_o(struct sendmail_options *o, const char *value)
{
	if (value[0] == 'i')
		o->dot_is_text = true;
	else if (value[0] == 'A' && value[1] == '\0')
		fatal("-oA requires pathname");
	else if (value[0] == 'A')
		o->alias_file = value + 1;
}

static void option_x_capital(struct sendmail_options *o, const char *value)
{
	if (value[0] != 'V')
		fatal("unsupported: -X%c", value[0]);
	set_verp(o, value + 1);
}

static void take(struct sendmail_options *o, int option, int argc, char **argv)
{
	switch (option) {
	case 'B':
		option_body(o, optarg);
		break;
	case 'F':
		o->full_name = optarg;
		break;
	case 'G':
		o->remote = true;
		break;
	case 'I':
		o->mode = MODE_ALIASES;
		break;
	case 'N':
		option_n_capital(o, optarg);
		break;
	case 'R':
		if (!dsn_ret_parse(str_of(optarg), &o->ret))
			log_warning("bad -R option value -- ignored");
		break;
	case 'V':
		option_v_capital(o, argv);
		break;
	case 'X':
		option_x_capital(o, optarg);
		break;
	case 'b':
		option_b(o, optarg);
		break;
	case 'c':
		(void)own_directory(argc, argv);
		break;
	case 'f':
	case 'r':
		o->sender = optarg;
		break;
	case 'i':
		o->dot_is_text = true;
		break;
	case 'n':
		fatal("-n option not supported");
	case 'o':
		option_o(o, optarg);
		break;
	case 'q':
		option_q(o, optarg);
		break;
	case 't':
		o->extract = true;
		break;
	case 'v':
		o->verbosity++;
		break;
	case '?':
		fatal("usage: sendmail [options]");
	default:
		break; /* -A -C -L -O -U -e -h -m -p -x */
	}
}

static void check(const struct sendmail_options *o, bool has_operands)
{
	static const char *const jobs[] = {
	    [MODE_LIST] = "display queue mode",
	    [MODE_FLUSH] = "flush queue mode",
	    [MODE_FLUSH_SITE] = "flush site",
	    [MODE_FLUSH_ID] = "flush queue_id",
	    [MODE_DAEMON] = "daemon mode",
	    [MODE_ALIASES] = "alias initialization mode",
	    [MODE_STAND_ALONE] = "stand-alone mode",
	    [MODE_NOTHING] = NULL,
	};
	if (o->extract && o->mode == MODE_VERIFY)
		fatal("-t option cannot be used with -bv");
	if (o->notify != 0 && o->mode == MODE_VERIFY)
		fatal("-N option cannot be used with -bv");
	if (o->ret != 0 && o->mode == MODE_VERIFY)
		fatal("-R option cannot be used with -bv");
	if (o->verbosity > 0 && o->mode == MODE_VERIFY)
		fatal("-v option cannot be used with -bv");
	if (o->extract && o->mode != MODE_SUBMIT)
		fatal("-t can be used only in delivery mode");
	if (has_operands && jobs[o->mode] != NULL)
		fatal("%s requires no recipient", jobs[o->mode]);
}

void options_parse(struct sendmail_options *o, int argc, char **argv)
{
	int option;
	*o = (struct sendmail_options){.mode = MODE_SUBMIT};
	if (str_is(str_of(argv[0]), "mailq"))
		o->mode = MODE_LIST;
	else if (str_is(str_of(argv[0]), "newaliases"))
		o->mode = MODE_ALIASES;
	optind = 0; /* once more, from the start */
	while ((option = getopt(argc, argv, letters)) != -1)
		take(o, option, argc, argv);
	o->first_operand = optind;
	check(o, optind < argc);
}
