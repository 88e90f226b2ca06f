/*
 * postmap: builds, queries and changes lookup tables; as postalias, those of aliases(5).
 *
 * Reads table sources, and keys from its standard input. Runs as whoever calls it; when
 * root builds a table whose source belongs to somebody else, as that one (but for -o), so
 * that a user cannot make root write where he should not. Nothing is lost if it dies: an
 * index is replaced as a whole, or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "mail/alias_text.h"
#include "postmap/message_keys.h"
#include "service/command.h"
#include "table/base64.h"
#include "table/driver.h"
#include "table/table.h"

#define STDIN_MAX ((size_t)1 << 30)

static struct {
	bool aliases; /* called as postalias */
	bool dump;
	const char *query_key;
	const char *delete_key;
	bool incremental;
	bool keep_root;
	bool with_nul;
	bool files; /* -F: values are files */
	bool default_mode;
	bool no_fold;
	bool header_keys;
	bool body_keys;
	enum source_duplicates duplicates;
	struct command command;
} postmap;

NORETURN static void usage(void)
{
	if (postmap.aliases)
		fatal("usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] "
		      "[map_type:]file...");
	fatal("usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] "
	      "[map_type:]file...");
}

static unsigned table_flags(unsigned more)
{
	return more | (postmap.no_fold ? 0 : TABLE_FOLD) |
	    (postmap.aliases ? TABLE_ALIASES : 0);
}

/* "hash:/etc/x" as it is, "/etc/x" with the default type. */
static void add_table_name(struct buf *out, const char *argument)
{
	if (strchr(argument, ':') == NULL)
		buf_printf(out, "%s:", command_common()->default_database_type);
	buf_add_cstr(out, argument);
}

static void warn_unsupported(struct str type)
{
	if (table_driver_find(type) == NULL)
		log_warning(
		    "unsupported dictionary type: %.*s. Is the postfix-%.*s package "
		    "installed?",
		    STR_ARG(type), STR_ARG(type));
}

static struct table *open_table(const char *argument, unsigned flags)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(TABLE_VALUE_MAX);
	add_table_name(&name, argument);
	struct table *t = table_open(buf_str(&name), table_flags(flags));
	if (table_error(t) != NULL) {
		ptrdiff_t colon = str_find(buf_str(&name), ':');
		if (str_starts(
			str_of(table_error(t)), STR("unsupported dictionary type")))
			warn_unsupported(str_slice(buf_str(&name), 0, (size_t)colon));
		fatal("%s", table_error(t));
	}
	return t;
}

/* Tables of the command line, opened one after the other when they are first needed. */
static struct table *table_number(char **arguments, struct table **open, size_t i)
{
	if (open[i] == NULL)
		open[i] = open_table(arguments[i],
		    postmap.header_keys || postmap.body_keys ? TABLE_KEY_IS_LINE : 0);
	return open[i];
}

static void print(struct str key, struct str value, bool with_key)
{
	const char *colon = postmap.aliases && with_key ? ":" : "";
	if (with_key)
		printf("%.*s%s\t", STR_ARG(key), colon);
	printf("%.*s\n", STR_ARG(value));
}

struct query {
	char **arguments;
	struct table **open;
	size_t count;
	bool with_key;
	bool found;
};

/* With -F the value is what is in the file that the source names. */
static void decode_file(const struct table *t, struct str key, struct buf *value)
{
	CLEANUP(buf_free) struct buf content = BUF_INIT(TABLE_VALUE_MAX);
	if (!postmap.files)
		return;
	if (!base64_decode(&content, buf_str(value)))
		fatal("table %s: query error: malformed BASE64 value for key \"%.*s\"",
		    table_name(t), STR_ARG(key));
	buf_clear(value);
	buf_add_str(value, buf_str(&content));
}

static bool query_one(struct query *q, struct table *t, struct str key)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	switch (table_lookup(t, key, &value)) {
	case TABLE_ABSENT:
		return false;
	case TABLE_FOUND:
		break;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		fatal("table %s: query error: %s", table_name(t), table_error(t));
	}
	if (value.len == 0) {
		log_warning("table %s: key %.*s: empty string result is not allowed",
		    table_name(t), STR_ARG(key));
		log_warning("table %s should return NO RESULT in case of NOT FOUND",
		    table_name(t));
	}
	decode_file(t, key, &value);
	print(key, buf_str(&value), q->with_key);
	return true;
}

/* In the order of the command line, until one table knows. */
static void query_key(void *context, struct str key)
{
	struct query *q = context;
	for (size_t i = 0; i < q->count; i++)
		if (query_one(q, table_number(q->arguments, q->open, i), key)) {
			q->found = true;
			return;
		}
}

static void read_stdin(struct buf *text)
{
	ssize_t len = 0;
	do {
		char *place = buf_reserve(text, 65536);
		if (place == NULL)
			fatal("too much input");
		len = file_read_some(STDIN_FILENO, place, 65536);
		if (len < 0)
			fatal("read standard input: %s", strerror((int)-len));
		buf_advance(text, (size_t)len);
	} while (len > 0);
}

static void each_line(
    struct str text, void (*call)(void *context, struct str line), void *context)
{
	while (text.len > 0) {
		ptrdiff_t end = str_find(text, '\n');
		struct str line = str_slice(text, 0, end < 0 ? text.len : (size_t)end);
		text = str_skip(text, line.len + 1);
		call(context, line);
	}
}

/* -q: 0 when a key was found. */
static int query(char **arguments, size_t count)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(STDIN_MAX);
	bool many = strcmp(postmap.query_key, "-") == 0;
	struct query q = {
	    .arguments = arguments,
	    .open = memory_alloc_array(count, sizeof(struct table *)),
	    .count = count,
	    .with_key = many,
	};
	if (many)
		read_stdin(&text);
	if (!many)
		query_key(&q, str_of(postmap.query_key));
	else if (postmap.header_keys || postmap.body_keys)
		message_keys(buf_str(&text), postmap.header_keys, postmap.body_keys,
		    query_key, &q);
	else
		each_line(buf_str(&text), query_key, &q);
	for (size_t i = 0; i < count; i++)
		table_close(q.open[i]);
	free(q.open);
	return q.found ? 0 : 1;
}

struct deletion {
	struct table *table;
	bool found;
};

static void delete_key(void *context, struct str key)
{
	struct deletion *d = context;
	switch (table_remove(d->table, key)) {
	case TABLE_FOUND:
		d->found = true;
		break;
	case TABLE_ABSENT:
		break;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		fatal("%s", table_error(d->table));
	}
}

/* -d: from every table; 0 when something was deleted. */
static int delete (char **arguments, size_t count)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(STDIN_MAX);
	bool found = false;
	if (strcmp(postmap.delete_key, "-") == 0)
		read_stdin(&text);
	else
		buf_add_cstr(&text, postmap.delete_key);
	for (size_t i = 0; i < count; i++) {
		struct deletion d = {.table = open_table(arguments[i], TABLE_UPDATE)};
		each_line(buf_str(&text), delete_key, &d);
		if (d.found && !table_commit(d.table))
			fatal("table %s: %s", table_name(d.table), table_error(d.table));
		found = found || d.found;
		table_close(d.table);
	}
	return found ? 0 : 1;
}

/* -s: the first table only. */
static int dump(const char *argument)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(TABLE_KEY_MAX);
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct table *t = open_table(argument, 0);
	bool first = true;
	enum table_result result;
	while ((result = table_next(t, first, &key, &value)) == TABLE_FOUND) {
		first = false;
		if (value.len == 0)
			log_warning("table %s: empty lookup result value is not allowed",
			    table_name(t));
		print(buf_str(&key), buf_str(&value), true);
	}
	if (result != TABLE_ABSENT)
		fatal("%s", table_error(t));
	table_close(t);
	return 0;
}

/* Root builds the table of a user as that user. */
static void become_owner(const char *path)
{
	struct stat status;
	if (postmap.keep_root || geteuid() != 0 || stat(path, &status) != 0 ||
	    status.st_uid == 0)
		return;
	if (setgroups(0, NULL) != 0 || setgid(status.st_gid) != 0 ||
	    setuid(status.st_uid) != 0)
		fatal("become the owner of %s: %s", path, strerror(errno));
}

static void check_source(const char *path)
{
	CLEANUP(file_close) int fd = file_open_following(path, O_RDONLY, 0);
	if (fd < 0)
		fatal("open %s: %s", path, strerror(-fd));
}

static const struct table_driver *builder(struct str type)
{
	const struct table_driver *driver = table_driver_find(type);
	if (driver == NULL) {
		warn_unsupported(type);
		fatal("unsupported map type: %.*s", STR_ARG(type));
	}
	if (driver->build == NULL)
		fatal("unsupported map type for this operation: %.*s", STR_ARG(type));
	return driver;
}

static void build(const char *argument)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(PATH_MAX + 100);
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_MAX + 1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(STDIN_MAX);
	add_table_name(&name, argument);
	size_t colon = (size_t)str_find(buf_str(&name), ':');
	struct str type = str_slice(buf_str(&name), 0, colon);
	const char *path = buf_cstr(&name) + colon + 1;
	struct table_source source = {
	    .path = path,
	    .format = postmap.aliases ? SOURCE_ALIASES : SOURCE_MAP,
	    .duplicates = postmap.duplicates,
	    .tidy = alias_text_tidy,
	    .fold = !postmap.no_fold,
	    .incremental = postmap.incremental,
	    .default_mode = postmap.default_mode,
	    .with_nul = postmap.with_nul,
	    .values_are_files = postmap.files,
	};
	if (postmap.incremental) {
		read_stdin(&text);
		source.path = "stdin";
		source.text = (struct str){buf_cstr(&text), text.len};
	} else {
		check_source(path);
	}
	become_owner(path);
	if (!builder(type)->build(str_of(path), &source, &error))
		fatal("%s", buf_cstr(&error));
}

/* -q, -d and -s exclude each other; each once. */
static void set_key(const char **which, const char *key)
{
	if (postmap.query_key != NULL || postmap.delete_key != NULL || postmap.dump)
		fatal("specify only one of -s -q or -d");
	*which = key;
}

static bool only_postmap(int option)
{
	if (postmap.aliases && strchr("bFhmU", option) != NULL)
		usage();
	return true;
}

static void set_option(int option, const char **directory)
{
	switch (option) {
	case 'c':
		*directory = optarg;
		break;
	case 'd':
		set_key(&postmap.delete_key, optarg);
		break;
	case 'q':
		set_key(&postmap.query_key, optarg);
		break;
	case 's':
		if (postmap.query_key != NULL || postmap.delete_key != NULL)
			fatal("specify only one of -s or -q or -d");
		postmap.dump = true;
		break;
	case 'b':
		postmap.body_keys = true;
		break;
	case 'h':
		postmap.header_keys = true;
		break;
	case 'f':
		postmap.no_fold = true;
		break;
	case 'i':
		postmap.incremental = true;
		break;
	case 'o':
		postmap.keep_root = true;
		break;
	case 'p':
		postmap.default_mode = true;
		break;
	case 'r':
		postmap.duplicates = SOURCE_DUPLICATES_REPLACE;
		break;
	case 'w':
		postmap.duplicates = SOURCE_DUPLICATES_QUIET;
		break;
	case 'v':
		log_verbose(log_verbosity() + 1);
		break;
	case 'N':
		postmap.with_nul = true;
		break;
	case 'n': /* what our files have anyway */
	case 'u': /* text that is valid UTF-8 is folded as such in any case */
	case 'U':
		break;
	case 'F':
		postmap.files = true;
		break;
	case 'm':
		fatal("option -%c is not built yet", option);
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option;
	postmap.aliases = str_ends(str_of(argv[0]), STR("postalias"));
	postmap.command.name = postmap.aliases ? "postalias" : "postmap";
	postmap.command.fatal_status = 1;
	log_stderr_name(postmap.command.name);
	argv[0] = memory_copy_cstr(postmap.command.name); /* for getopt's own words */
	while ((option = getopt(argc, argv, "bc:d:fFhimnNopq:rsuUvw")) >= 0)
		if (only_postmap(option))
			set_option(option, &directory);
	bool from_stdin =
	    postmap.query_key != NULL && strcmp(postmap.query_key, "-") == 0;
	if ((postmap.header_keys || postmap.body_keys) && !from_stdin)
		fatal("specify -b -h or -m only with \"-q -\"");
	command_start(&postmap.command, directory);
	char **arguments = argv + optind;
	size_t count = (size_t)(argc - optind);
	if (postmap.query_key != NULL || postmap.delete_key != NULL || postmap.dump) {
		if (count == 0)
			usage();
		if (postmap.query_key != NULL)
			return query(arguments, count);
		return postmap.dump ? dump(arguments[0]) : delete (arguments, count);
	}
	if (count == 0)
		usage();
	(void)umask(022);
	for (size_t i = 0; i < count; i++)
		build(arguments[i]);
	return 0;
}
