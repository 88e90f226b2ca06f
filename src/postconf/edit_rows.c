/* Changes of rows in master.cf: whole ones, their fields, and their -o parameters. */
#include <limits.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "conf/master_cf.h"
#include "postconf/edit.h"
#include "postconf/rows.h"

#define ROW_ARENA (32u << 20)
#define ROW_MAX   1000000

struct change {
	const char *request;
	struct row_request what; /* service, type, and for F and P a field or parameter */
	struct str value;
	bool found;
};

struct changes {
	struct edit_file *file;
	int mode;
	enum edit_kind kind;
	struct change *list;
	size_t count;
	struct arena *arena;
};

static const struct row_format written = {.fold = true};

/* "invalid chroot field "x" in ": what a message about a row has up to its text. */
NORETURN static void bad_row(struct str error, struct str text, const char *shown)
{
	ptrdiff_t field = str_find_str(error, STR("invalid "));
	ptrdiff_t in = str_find_str(error, STR("\" in \""));
	if (field < 0 || in < field)
		fatal("bad field count: \"%s\"", shown);
	fatal("%.*s\" in \"%.*s\"", STR_ARG(str_slice(error, (size_t)field, (size_t)in)),
	    STR_ARG(text));
}

/* The fields of one row; fatal when they are wrong. `shown` is for messages. */
static struct master_row parse_row(
    struct changes *c, struct str text, struct str part, const char *shown)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_MAX + 1000);
	struct master_cf cf;
	if (!master_cf_parse(text, c->file->path, c->arena, &cf, &error) || cf.count != 1)
		bad_row(buf_str(&error), part, shown);
	return cf.rows[0];
}

static void put_row(struct changes *c, const struct master_row *row)
{
	row_text(&c->file->out, row, &written);
	buf_add_char(&c->file->out, '\n');
}

/* --- whole rows --- */

static struct change *find_row(struct changes *c, struct str line)
{
	struct str name = STR_EMPTY;
	struct str type = STR_EMPTY;
	(void)(str_next(&line, " \t", &name) && str_next(&line, " \t", &type));
	struct change *last = NULL; /* the last request counts */
	for (size_t i = 0; i < c->count; i++)
		if (row_request_names(&c->list[i].what, name, type)) {
			last = &c->list[i];
			last->found = true;
		}
	return last;
}

static void put_new_row(struct changes *c, const struct change *change)
{
	struct master_row row =
	    parse_row(c, change->value, change->value, change->request);
	put_row(c, &row);
}

static void add_row_change(struct changes *c, const char *request)
{
	struct change *next = &c->list[c->count++];
	struct str what = str_of(request);
	next->request = request;
	if (c->kind == EDIT_SET)
		edit_split(request, &what, &next->value);
	next->what = row_request_parse(what);
	if (next->what.parts != 2)
		fatal("-Me, -MX or -M# requires service_name/type");
	if (c->kind == EDIT_SET)
		(void)parse_row(c, next->value, next->value, request);
}

static struct changes begin(
    struct edit_file *f, int mode, enum edit_kind kind, size_t count)
{
	return (struct changes){
	    .file = f,
	    .mode = mode,
	    .kind = kind,
	    .list = memory_alloc_array(count, sizeof(struct change)),
	    .arena = arena_new(ROW_ARENA),
	};
}

static void end(struct changes *c)
{
	arena_free(c->arena);
	free(c->list);
}

void edit_whole_rows(
    struct edit_file *f, enum edit_kind kind, char **requests, size_t count)
{
	struct changes c = begin(f, 'M', kind, count);
	struct str rest = buf_str(&f->text);
	struct str line;
	struct change *current = NULL; /* for the row that this line belongs to */
	for (size_t i = 0; i < count; i++)
		add_row_change(&c, requests[i]);
	while (edit_next_line(&rest, &line)) {
		bool comment = edit_is_comment(line);
		bool begins = !comment && !edit_is_continuation(line);
		if (begins)
			current = find_row(&c, line);
		if (comment || current == NULL)
			edit_put(f, "", line);
		else if (kind == EDIT_COMMENT)
			edit_put(f, "#", line);
		else if (kind == EDIT_SET && begins)
			put_new_row(&c, current);
	}
	for (size_t i = 0; i < c.count; i++)
		if (kind == EDIT_SET && !c.list[i].found)
			put_new_row(&c, &c.list[i]);
	end(&c);
}

/* --- parts of rows --- */

static void add_part_change(struct changes *c, const char *request)
{
	struct change *next = &c->list[c->count++];
	struct str what = str_of(request);
	bool fields = c->mode == 'F';
	next->request = request;
	if (c->kind == EDIT_SET)
		edit_split(request, &what, &next->value);
	next->what = row_request_parse(what);
	if (next->what.parts != 3)
		fatal("%s",
		    fields ? "-Fe or -FX requires service_name/type/field_name"
			   : "-Pe or -PX requires service_name/type/parameter");
	if (fields && row_field_number(next->what.part) < 0)
		fatal(
		    "invalid service attribute name: \"%.*s\"", STR_ARG(next->what.part));
	if (fields && next->value.len == 0)
		fatal("missing value: \"%s\"", request);
	if (!fields && str_is(next->what.part, "*"))
		fatal("-Pe does not accept wild-card parameter name");
	if (!fields && str_find_any(next->value, " \t") >= 0)
		fatal("-Pe does not accept whitespace in parameter value");
}

/* The row's text with another word in one field; the command takes its arguments along.
 */
static void replace_field(
    struct changes *c, struct master_row *row, int field, struct str value)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ROW_MAX);
	for (int i = 0; i <= ROW_FIELD_COMMAND; i++) {
		if (i > 0)
			buf_add_char(&text, ' ');
		if (i == field)
			buf_add_str(&text, value);
		else
			row_field_text(
			    &text, row, i, &(struct row_format){.fold = false});
	}
	buf_add_char(&text, '\n');
	*row = parse_row(c, buf_str(&text), value, "master.cf");
}

/* How many arguments at the front are options; -o takes the next one along. */
static size_t option_count(const struct master_row *row)
{
	size_t i = 0;
	while (i < row->argument_count && row->arguments[i][0] == '-')
		i += strcmp(row->arguments[i], "-o") == 0 && i + 1 < row->argument_count
		    ? 2
		    : 1;
	return i;
}

static bool sets(const char *assignment, struct str name)
{
	struct str text = str_of(assignment);
	ptrdiff_t equals = str_find(text, '=');
	return equals > 0 &&
	    str_equal(str_trim(str_slice(text, 0, (size_t)equals)), name);
}

/* Sets or removes one -o; a new one stands behind the other options. */
static void change_override(
    struct changes *c, struct master_row *row, const struct change *change)
{
	size_t options = option_count(row);
	size_t count = 0;
	bool found = false;
	const char **list =
	    arena_alloc_array(c->arena, row->argument_count + 3, sizeof(*list));
	const char *text = arena_printf(
	    c->arena, "%.*s=%.*s", STR_ARG(change->what.part), STR_ARG(change->value));
	if (list == NULL || text == NULL)
		fatal("a row of %s is too long", c->file->path);
	for (size_t i = 0; i <= row->argument_count; i++) {
		if (i == options && !found && c->kind == EDIT_SET) {
			list[count++] = "-o";
			list[count++] = text;
		}
		if (i == row->argument_count)
			break;
		bool ours = i + 1 < options && strcmp(row->arguments[i], "-o") == 0 &&
		    sets(row->arguments[i + 1], change->what.part);
		if (!ours) {
			list[count++] = row->arguments[i];
			continue;
		}
		i++;
		if (c->kind == EDIT_SET) {
			list[count++] = "-o";
			list[count++] = text;
		}
		found = true;
	}
	list[count] = NULL;
	row->arguments = list;
	row->argument_count = count;
}

/* A row as it stood, or changed when somebody asked. */
static void finish_row(struct changes *c, struct str raw, struct str logical)
{
	struct str name = STR_EMPTY;
	struct str type = STR_EMPTY;
	struct str words = logical;
	bool asked = false;
	struct master_row row = {.name = NULL};
	(void)(str_next(&words, " \t\n", &name) && str_next(&words, " \t\n", &type));
	for (size_t i = 0; i < c->count; i++) {
		struct change *change = &c->list[i];
		if (!row_request_names(&change->what, name, type))
			continue;
		if (!asked)
			row = parse_row(c, logical, logical, "master.cf");
		asked = change->found = true;
		if (c->mode == 'F')
			replace_field(
			    c, &row, row_field_number(change->what.part), change->value);
		else
			change_override(c, &row, change);
	}
	if (asked)
		put_row(c, &row);
	else
		buf_add_str(&c->file->out, raw);
}

struct pending {
	struct buf raw;      /* the row's lines, comments between them included */
	struct buf logical;  /* without them */
	struct buf comments; /* these alone */
};

static void flush_pending(struct changes *c, struct pending *p)
{
	size_t before = c->file->out.len;
	struct str logical = buf_str(&p->logical);
	if (logical.len > 0) {
		finish_row(c, buf_str(&p->raw), logical);
		struct str put = str_skip(buf_str(&c->file->out), before);
		if (!str_equal(put, buf_str(&p->raw)) && p->comments.len > 0) {
			CLEANUP(buf_free) struct buf row = BUF_INIT(ROW_MAX * 2);
			buf_add_str(&row, put);
			buf_truncate(&c->file->out, before);
			buf_add_str(&c->file->out, buf_str(&p->comments));
			buf_add_str(&c->file->out, buf_str(&row));
		}
	} else {
		buf_add_str(&c->file->out, buf_str(&p->raw));
	}
	buf_clear(&p->raw);
	buf_clear(&p->logical);
	buf_clear(&p->comments);
}

static void add_line(struct buf *b, struct str line)
{
	buf_add_str(b, line);
	buf_add_char(b, '\n');
}

void edit_in_rows(
    struct edit_file *f, int mode, enum edit_kind kind, char **requests, size_t count)
{
	struct changes c = begin(f, mode, kind, count);
	struct pending p = {BUF_INIT(ROW_MAX), BUF_INIT(ROW_MAX), BUF_INIT(ROW_MAX)};
	struct str rest = buf_str(&f->text);
	struct str line;
	for (size_t i = 0; i < count; i++)
		add_part_change(&c, requests[i]);
	while (edit_next_line(&rest, &line)) {
		bool comment = edit_is_comment(line);
		if (!comment && !edit_is_continuation(line))
			flush_pending(&c, &p);
		add_line(&p.raw, line);
		add_line(comment ? &p.comments : &p.logical, line);
	}
	if (!buf_ok(&p.raw) || !buf_ok(&p.logical) || !buf_ok(&p.comments))
		fatal("%s: a row is too long", f->path);
	flush_pending(&c, &p);
	for (size_t i = 0; i < c.count; i++)
		if (!c.list[i].found)
			log_warning(
			    "unmatched service_name/type: \"%s\"", c.list[i].request);
	buf_free(&p.raw);
	buf_free(&p.logical);
	buf_free(&p.comments);
	end(&c);
}
