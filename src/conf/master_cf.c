#include "conf/master_cf.h"

#include <fcntl.h>
#include "base/file.h"
#include "base/map.h"
#include "conf/config_line.h"

#define FILE_MAX_BYTES (4u << 20)
#define LINE_MAX_BYTES 100000u
#define ARGUMENTS_MAX  1000
#define SHOWN_BYTES    200 /* of a bad field, so that the message fits its buffer */
#define BLANKS         " \t\r\n\v\f"

static const struct {
	const char *name;
	enum master_type type;
} types[] = {
    {"inet", MASTER_INET},
    {"unix", MASTER_UNIX},
    {"fifo", MASTER_FIFO},
    {"pass", MASTER_PASS},
    {"unix-dgram", MASTER_DGRAM},
};

struct parser {
	const char *path;
	unsigned line;
	struct arena *arena;
	struct buf *error;
	struct str whole; /* the logical line */
};

static bool fail(struct parser *p, const char *what)
{
	buf_printf(p->error, "%s, line %u: %s", p->path, p->line, what);
	return false;
}

static bool bad_field(struct parser *p, const char *field, struct str value)
{
	buf_printf(p->error, "%s, line %u: invalid %s field \"%.*s\" in \"%.*s\"",
	    p->path, p->line, field, STR_ARG(str_slice(value, 0, SHOWN_BYTES)),
	    STR_ARG(str_slice(p->whole, 0, SHOWN_BYTES)));
	return false;
}

static const char *keep(struct parser *p, struct str s)
{
	const char *copy = arena_cstr(p->arena, s);
	if (copy == NULL)
		(void)fail(p, "file is too long");
	return copy;
}

static bool parse_type(struct parser *p, struct str word, struct master_row *row)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_is(word, types[i].name)) {
			row->type = types[i].type;
			row->type_name = types[i].name;
			return true;
		}
	return bad_field(p, "type", word);
}

static bool parse_flag(struct parser *p, const char *field, struct str word, int *r)
{
	if (str_is(word, "-"))
		*r = MASTER_DEFAULT;
	else if (str_is(word, "y") || str_is(word, "n"))
		*r = word.p[0] == 'y';
	else
		return bad_field(p, field, word);
	return true;
}

static bool parse_maxproc(struct parser *p, struct str word, struct master_row *row)
{
	if (str_is(word, "-"))
		row->maxproc = MASTER_DEFAULT;
	else if (!str_to_range(word, 0, INT32_MAX, &row->maxproc))
		return bad_field(p, "process_limit", word);
	return true;
}

static bool parse_wakeup(struct parser *p, struct str word, struct master_row *row)
{
	struct str number = word;
	row->wakeup_if_used = str_ends(word, STR("?"));
	if (row->wakeup_if_used)
		number = str_slice(word, 0, word.len - 1);
	if (str_is(word, "-"))
		row->wakeup = MASTER_DEFAULT;
	else if (!str_to_range(number, 0, INT32_MAX, &row->wakeup))
		return bad_field(p, "wakeup", word);
	return true;
}

/* The outer braces and the blanks inside them go; "{-o name = value}" stays one word. */
static bool unbrace(struct parser *p, struct str *word)
{
	if (word->len == 0 || word->p[0] != '{')
		return true;
	unsigned depth = 0;
	size_t i = 0;
	do {
		depth += word->p[i] == '{';
		depth -= word->p[i] == '}';
		i++;
	} while (depth > 0 && i < word->len);
	if (depth > 0)
		return fail(p, "missing '}' in the command");
	if (i < word->len)
		return fail(p, "syntax error after '}' in the command");
	*word = str_trim(str_slice(*word, 1, word->len - 1));
	return true;
}

static bool parse_arguments(struct parser *p, struct str rest, struct master_row *row)
{
	struct str count_rest = rest;
	struct str word;
	size_t count = 0;
	while (str_next_braced(&count_rest, BLANKS, &word))
		count++;
	if (count > ARGUMENTS_MAX)
		return fail(p, "too many command arguments");
	const char **arguments =
	    arena_alloc_array(p->arena, count + 1, sizeof(*arguments));
	if (arguments == NULL)
		return fail(p, "file is too long");
	for (size_t i = 0; i < count && str_next_braced(&rest, BLANKS, &word); i++) {
		if (!unbrace(p, &word))
			return false;
		arguments[i] = keep(p, word);
		if (arguments[i] == NULL)
			return false;
	}
	row->arguments = arguments;
	row->argument_count = count;
	return true;
}

static bool parse_row(struct parser *p, struct master_row *row)
{
	enum { NAME, TYPE, PRIVATE, UNPRIV, CHROOT, WAKEUP, MAXPROC, COMMAND, FIELDS };
	struct str field[FIELDS];
	struct str rest = p->whole;
	for (size_t i = 0; i < FIELDS; i++)
		if (!str_next(&rest, BLANKS, &field[i]))
			return fail(p, "bad field count");
	row->line = p->line;
	row->name = keep(p, field[NAME]);
	row->command = keep(p, field[COMMAND]);
	return row->name != NULL && row->command != NULL &&
	    parse_type(p, field[TYPE], row) &&
	    parse_flag(p, "private", field[PRIVATE], &row->is_private) &&
	    parse_flag(p, "unprivileged", field[UNPRIV], &row->unpriv) &&
	    parse_flag(p, "chroot", field[CHROOT], &row->chroot) &&
	    parse_wakeup(p, field[WAKEUP], row) &&
	    parse_maxproc(p, field[MAXPROC], row) && parse_arguments(p, rest, row);
}

/* A later row for the same service takes the place of the earlier one. */
static struct master_row *place_for(
    struct master_cf *cf, struct map *known, struct master_row *row)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(LINE_MAX_BYTES + 20);
	buf_printf(&key, "%s %d %s", row->type_name, row->is_private != 0, row->name);
	struct master_row *place = map_get(known, buf_str(&key));
	if (place == NULL) {
		place = &cf->rows[cf->count++];
		(void)map_set(known, buf_str(&key), place);
	} else {
		row->replaced = place->replaced + 1;
	}
	return place;
}

static size_t count_rows(struct str text, struct buf *line)
{
	struct config_lines lines;
	unsigned number = 0;
	size_t count = 0;
	config_lines_init(&lines, text);
	while (count <= MASTER_ROWS_MAX && config_lines_next(&lines, line, &number))
		count++;
	return count;
}

static bool parse_lines(
    struct parser *p, struct str text, struct buf *line, struct master_cf *cf)
{
	CLEANUP(map_free_cleanup) struct map *known = map_new();
	struct config_lines lines;
	config_lines_init(&lines, text);
	while (config_lines_next(&lines, line, &p->line)) {
		struct master_row row = {.line = p->line};
		p->whole = buf_str(line);
		if (!buf_ok(line))
			return fail(p, "line too long");
		if (ascii_is_space(p->whole.p[0]))
			return fail(p, "logical line must not start with whitespace");
		if (!parse_row(p, &row))
			return false;
		*place_for(cf, known, &row) = row;
	}
	return true;
}

bool master_cf_parse(struct str text, const char *path, struct arena *arena,
    struct master_cf *cf_r, struct buf *error)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct parser p = {.path = path, .line = 1, .arena = arena, .error = error};
	struct master_cf cf = {.count = 0};
	if (str_find(text, '\0') >= 0)
		return fail(&p, "file contains a NUL byte");
	size_t count = count_rows(text, &line);
	if (count > MASTER_ROWS_MAX)
		return fail(&p, "too many services in this file");
	cf.rows = arena_alloc_array(arena, count + 1, sizeof(*cf.rows));
	if (cf.rows == NULL)
		return fail(&p, "file is too long");
	if (!parse_lines(&p, text, &line, &cf))
		return false;
	*cf_r = cf;
	return true;
}

bool master_cf_read(
    const char *path, struct arena *arena, struct master_cf *cf_r, struct buf *error)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	int status = file_read_whole(AT_FDCWD, path, &text);
	if (status < 0) {
		buf_printf(error, "open %s: %s", path, strerror(-status));
		return false;
	}
	return master_cf_parse(buf_str(&text), path, arena, cf_r, error);
}

const struct master_row *master_cf_find(
    const struct master_cf *cf, struct str name, struct str type_name)
{
	for (size_t i = 0; i < cf->count; i++)
		if (str_is(name, cf->rows[i].name) &&
		    str_is(type_name, cf->rows[i].type_name))
			return &cf->rows[i];
	return NULL;
}
