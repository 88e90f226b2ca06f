/*
 * postconf: shows and edits the configuration: parameters of main.cf, rows of master.cf,
 * and what this build can do. Reads the two files as whoever calls it; an edit puts a new
 * file in place of the old one, so that nothing is lost when it dies.
 */
#include <getopt.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "conf/conf.h"
#include "postconf/doubts.h"
#include "postconf/edit.h"
#include "postconf/fold.h"
#include "postconf/names.h"
#include "postconf/rows.h"
#include "postconf/templates.h"
#include "table/own_networks.h"
#include "table/table.h"

#define ARENA_MAX      (64u << 20)
#define OVERRIDES_MAX  1000
#define OPTION_LETTERS "+aAbc:C:deEfFhHjlmMno:pPqtT:vxX#"

enum { OPTION_NO_EFFECT = 256 };

static struct {
	bool given[OPTION_NO_EFFECT + 1]; /* by option letter */
	const char *directory;
	const char *classes;
	const char *mode; /* of -T */
	const char *overrides[OVERRIDES_MAX];
	size_t override_count;

	struct conf *conf;
	struct arena *arena;
	struct master_cf rows;
	struct references *references;
	struct names names;
} postconf;

NORETURN static void usage(void)
{
	fatal(
	    "usage: postconf [-a (server SASL types)] [-A (client SASL types)] "
	    "[-b (bounce templates)] [-c config_dir] [-c param_class] "
	    "[-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] "
	    "[-F (master.cf fields)] [-h (no names)] [-H (no values)] [-l (lock types)] "
	    "[-m (map types)] [-M (master.cf)] [-n (non-default parameters)] "
	    "[-o name=value (override parameter value)] [-p (main.cf, default)] "
	    "[-P (master.cf parameters)] [-t (bounce templates)] "
	    "[-T compile-version|run-version|public-key-algorithms] [-v (verbose)] "
	    "[-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] "
	    "[--no-effect (accepted, no effect yet)] [name...]");
}

/* Below here: options. */

/* At most one of `letters`; gives it, or 0. */
static int only_one_of(const char *letters)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(100);
	int found = 0;
	int count = 0;
	for (const char *p = letters; *p != '\0'; p++)
		if (postconf.given[(unsigned char)*p]) {
			found = (unsigned char)*p;
			count++;
			buf_printf(&text, " -%c", *p);
		}
	if (count > 1)
		fatal("specify one of%s", buf_cstr(&text));
	return found;
}

static void none_of(int mode, const char *letters)
{
	for (const char *p = letters; *p != '\0'; p++)
		if (postconf.given[(unsigned char)*p])
			fatal("with option -%c, do not specify -%c", mode, *p);
}

/* 0, or what kind of edit: asked for by an option, or by "name=value". */
static int edit_kind(int mode, char **arguments, size_t count)
{
	int view = only_one_of("den#X");
	bool can_edit = strchr("pMFP", mode) != NULL;
	bool assigns = false;
	for (size_t i = 0; can_edit && i < count; i++)
		assigns = assigns || strchr(arguments[i], '=') != NULL;
	if (assigns && !postconf.given['e']) {
		postconf.given['e'] = true;
		view = only_one_of("den#X");
	}
	int kind = view == 'd' || view == 'n' ? 0 : view;
	if (kind == 0)
		return 0;
	for (const char *p = "fhHox"; *p != '\0'; p++)
		if (postconf.given[(unsigned char)*p]) {
			char pair[] = {*p, (char)kind, '\0'};
			if (kind == 'e')
				(void)snprintf(pair, sizeof(pair), "e%c", *p);
			(void)only_one_of(pair);
		}
	return kind;
}

/* Gives the mode: a A b F l m M p P t T. */
static int check_options(void)
{
	static const struct {
		int mode;
		const char *without;
	} exclusive[] = {
	    {'a', "defhHnoCxX#"},
	    {'A', "defhHnoCxX#"},
	    {'b', "defhHnoCxX#"},
	    {'F', "dnX#"},
	    {'l', "defhHnoCxX#"},
	    {'m', "defhHnoCxX#"},
	    {'M', "dhHn"},
	    {'P', "dn#"},
	    {'t', "defhHnoCxX#"},
	    {'T', "defhHnoCxX#"},
	};
	static const char later[] = "Ej";
	int mode = only_one_of("aAbFlmMpPtT");
	(void)only_one_of("hH");
	for (size_t i = 0; i < ARRAY_SIZE(exclusive); i++)
		if (mode == exclusive[i].mode)
			none_of(mode, exclusive[i].without);
	for (const char *p = later; *p != '\0'; p++)
		if (postconf.given[(unsigned char)*p])
			fatal("option -%c is not built yet", *p);
	return mode != 0 ? mode : 'p';
}

static void take_option(int option)
{
	postconf.given[option] = true;
	switch (option) {
	case '?':
		usage();
	case 'c':
		postconf.directory = optarg;
		break;
	case 'C':
		postconf.classes = optarg;
		break;
	case 'T':
		postconf.mode = optarg;
		break;
	case 'v':
		log_verbose(log_verbosity() + 1);
		break;
	case 'o':
		if (postconf.override_count == OVERRIDES_MAX)
			fatal("too many -o options");
		postconf.overrides[postconf.override_count++] = optarg;
		break;
	default:
		break;
	}
}

static unsigned parse_classes(const char *text)
{
	static const struct {
		const char *name;
		unsigned classes;
	} known[] = {
	    {"builtin", NAME_BUILTIN},
	    {"service", NAME_SERVICE},
	    {"user", NAME_USER},
	    {"all", NAME_ALL},
	};
	struct str rest = str_of(text);
	struct str word;
	unsigned classes = 0;
	if (text == NULL)
		return NAME_ALL;
	while (str_next(&rest, ", \t", &word)) {
		size_t i = 0;
		while (i < ARRAY_SIZE(known) && !str_is_nocase(word, known[i].name))
			i++;
		if (i == ARRAY_SIZE(known))
			fatal("unknown -C option value \"%.*s\" in \"%s\"", STR_ARG(word),
			    text);
		classes |= known[i].classes;
	}
	return classes != 0 ? classes : NAME_ALL;
}

/* Below here: reading the configuration. */

static void load_overrides(void)
{
	for (size_t i = 0; i < postconf.override_count; i++)
		if (!conf_override(postconf.conf, str_of(postconf.overrides[i])))
			fatal(
			    "invalid parameter override: %s: missing '=' after attribute name",
			    postconf.overrides[i]);
}

/* Without master.cf there are no service parameters: said, and that is all. */
static void load_rows(const char *directory, bool needed)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_MAX + 1000);
	buf_printf(&path, "%s/master.cf", directory);
	if (master_cf_read(buf_cstr(&path), postconf.arena, &postconf.rows, &error))
		return;
	if (needed)
		fatal("%s", buf_cstr(&error));
	log_warning("%s", buf_cstr(&error));
}

static void note_setting(
    UNUSED void *context, const char *name, const char *raw, UNUSED unsigned line)
{
	references_add(postconf.references, str_of(name), str_of(raw));
}

static void note_override(UNUSED void *context, struct str name, struct str value)
{
	references_add(postconf.references, name, value);
}

static void set_process_names(void)
{
	char id[20];
	(void)snprintf(id, sizeof(id), "%ld", (long)getpid());
	conf_computed(postconf.conf, "process_name", STR("postconf"));
	conf_computed(postconf.conf, "process_id", str_of(id));
}

static const char *directory_in_use(void)
{
	if (postconf.directory != NULL)
		return postconf.directory;
	const char *directory = getenv("MAIL_CONFIG");
	return directory != NULL ? directory
				 : param_find(STR("config_directory"))->initial;
}

static void load(bool rows_needed)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_MAX + 1000);
	const char *directory = directory_in_use();
	bool defaults = postconf.given['d'];
	postconf.conf = conf_load(defaults ? NULL : directory, &error);
	if (postconf.conf == NULL)
		fatal("%s", buf_cstr(&error));
	load_overrides();
	set_process_names();
	if (!own_networks_compute(postconf.conf, &error))
		fatal("%s", buf_cstr(&error));
	postconf.arena = arena_new(ARENA_MAX);
	load_rows(directory, rows_needed);
	postconf.references = references_new();
	conf_each_set(postconf.conf, note_setting, NULL);
	rows_each_override(&postconf.rows, note_override, NULL);
	names_collect(&postconf.names, postconf.conf, &postconf.rows,
	    defaults ? NULL : postconf.references, postconf.arena);
}

static void unload(void)
{
	names_free(&postconf.names);
	references_free(postconf.references);
	arena_free(postconf.arena);
	conf_free(postconf.conf);
}

/* Below here: output. */

static const char *raw_value(const struct name *name)
{
	const char *raw = conf_raw(postconf.conf, str_of(name->name), true);
	return raw != NULL ? raw : name->initial;
}

static void add_value(struct buf *out, const struct name *name)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	const struct param *p = param_find(str_of(name->name));
	bool expand = postconf.given['x'] && (p == NULL || p->type != PARAM_RAW);
	const char *raw = raw_value(name);
	if (raw == NULL)
		return;
	if (!expand)
		buf_add_cstr(out, raw);
	else if (!conf_expand(postconf.conf, str_of(raw), out, &error)) {
		log_warning("%s", buf_cstr(&error));
		fatal("macro processing error");
	}
}

static void print_parameter(const struct name *name)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	CLEANUP(buf_free) struct buf line = BUF_INIT(CONF_VALUE_MAX * 2 + 1000);
	if (postconf.given['H']) {
		puts(name->name);
		return;
	}
	add_value(&value, name);
	if (!postconf.given['h'])
		buf_printf(&line, "%s =", name->name);
	fold_text(
	    &line, buf_str(&value), postconf.given['f'] ? FOLD_PARAMETER : SIZE_MAX);
	puts(buf_cstr(&line));
}

/* -n: set in main.cf, by -o, or (config_directory) by -c. */
static bool is_shown(const struct name *name, unsigned classes)
{
	struct str s = str_of(name->name);
	if (!(name->class & classes))
		return false;
	if (postconf.given[OPTION_NO_EFFECT] && name->status != PARAM_NO_EFFECT)
		return false;
	if (!postconf.given['n'])
		return true;
	return conf_is_set(postconf.conf, s) ||
	    (str_is(s, "config_directory") &&
		(postconf.directory != NULL || getenv("MAIL_CONFIG") != NULL));
}

static void print_parameters(char **requests, size_t count)
{
	unsigned classes = parse_classes(postconf.classes);
	for (size_t i = 0; count == 0 && i < postconf.names.count; i++)
		if (is_shown(&postconf.names.list[i], classes))
			print_parameter(&postconf.names.list[i]);
	for (size_t i = 0; i < count; i++) {
		const struct name *name =
		    names_find(&postconf.names, str_of(requests[i]));
		if (name == NULL || !(name->class & classes))
			log_warning("%s: unknown parameter", requests[i]);
		else if (is_shown(name, classes))
			print_parameter(name);
	}
}

static void print_rows(int mode, char **requests, size_t count)
{
	const struct row_view view = {
	    .names = !postconf.given['h'],
	    .values = !postconf.given['H'],
	    .format =
		{
		    .fold = postconf.given['f'],
		    .expand = postconf.given['x'] ? postconf.conf : NULL,
		},
	};
	if (mode == 'M')
		rows_print(&postconf.rows, requests, count, &view.format);
	else if (mode == 'F')
		rows_print_fields(&postconf.rows, requests, count, &view);
	else
		rows_print_overrides(&postconf.rows, requests, count, &view);
}

/* A field that does not exist is an error, a row that does not is a warning. */
static void check_fields(char **requests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct row_request r = row_request_parse(str_of(requests[i]));
		if (r.parts == 3 && !str_is(r.part, "*") && row_field_number(r.part) < 0)
			fatal(
			    "invalid service attribute name: \"%.*s\"", STR_ARG(r.part));
	}
}

static int show_configuration(int mode, char **requests, size_t count)
{
	(void)parse_classes(postconf.classes);
	/* --no-effect alone speaks of what is set; with -d of all names. */
	if (postconf.given[OPTION_NO_EFFECT] && !postconf.given['d'])
		postconf.given['n'] = true;
	if (mode == 'F')
		check_fields(requests, count);
	load(mode != 'p');
	const struct doubts doubts = {
	    .conf = postconf.conf,
	    .rows = &postconf.rows,
	    .names = &postconf.names,
	    .references = postconf.references,
	};
	bool defaults = postconf.given['d'];
	if (!defaults)
		doubts_undefined(&doubts);
	log_flush();
	if (mode == 'p')
		print_parameters(requests, count);
	else
		print_rows(mode, requests, count);
	(void)fflush(stdout);
	if (!defaults && mode == 'p')
		doubts_unused_in_main_cf(&doubts);
	if (!defaults)
		doubts_unused_in_master_cf(&doubts);
	unload();
	return 0;
}

/* At most one file may be named. */
static int show_templates(int mode, char **arguments, size_t count)
{
	if (count > 1)
		usage();
	load(false);
	templates_show(postconf.conf, count > 0 ? arguments[0] : NULL, mode == 'b');
	unload();
	return 0;
}

static int show_version(void)
{
	if (strcmp(postconf.mode, "compile-version") == 0)
		puts(OPENSSL_VERSION_TEXT);
	else if (strcmp(postconf.mode, "run-version") == 0)
		puts(OpenSSL_version(OPENSSL_VERSION));
	else if (strcmp(postconf.mode, "public-key-algorithms") == 0)
		puts("dsa\necdsa\nrsa");
	else {
		log_warning("unknown 'postconf -T' mode: %s", postconf.mode);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"no-effect", no_argument, NULL, OPTION_NO_EFFECT},
	    {NULL, 0, NULL, 0},
	};
	int option;
	log_stderr_name("postconf");
	argv[0] = memory_copy_cstr("postconf"); /* for getopt's own words */
	while (
	    (option = getopt_long(argc, argv, OPTION_LETTERS, long_options, NULL)) >= 0)
		take_option(option);
	char **arguments = argv + optind;
	size_t count = (size_t)(argc - optind);
	int mode = check_options();
	int kind = edit_kind(mode, arguments, count);
	if (kind != 0) {
		edit_run(
		    mode, (enum edit_kind)kind, directory_in_use(), arguments, count);
		log_flush();
		return 0;
	}
	switch (mode) {
	case 'a': /* no SASL plug-in is built in */
	case 'A':
		return 0;
	case 'l':
		puts("flock\nfcntl\ndotlock");
		return 0;
	case 'm':
		for (const char *const *type = table_types(); *type != NULL; type++)
			puts(*type);
		return 0;
	case 'b':
	case 't':
		return show_templates(mode, arguments, count);
	case 'T':
		return show_version();
	default:
		return show_configuration(mode, arguments, count);
	}
}
