#include "postconf/rows.h"

#include <inttypes.h>
#include "base/log.h"
#include "base/panic.h"
#include "postconf/fold.h"

#define LINE_MAX_BYTES 1000000

/* Where the fields begin; a longer one before moves only itself on. */
static const size_t columns[] = {0, 11, 17, 25, 33, 41, 49, 57};

static void add_field(struct buf *out, size_t field, const char *text)
{
	if (out->len > 0)
		buf_add_char(out, ' ');
	if (out->len < columns[field])
		buf_add_fill(out, ' ', columns[field] - out->len);
	buf_add_cstr(out, text);
}

static const char *flag(int value)
{
	if (value == MASTER_DEFAULT)
		return "-";
	return value ? "y" : "n";
}

/* "name = value" loses the blanks around "="; false: no assignment. */
static bool split_override(struct str text, struct str *name_r, struct str *value_r)
{
	ptrdiff_t equals = str_find(text, '=');
	if (equals < 0)
		return false;
	*name_r = str_trim(str_slice(text, 0, (size_t)equals));
	*value_r = str_trim(str_skip(text, (size_t)equals + 1));
	return true;
}

static void add_override(struct buf *word, struct str text, struct conf *expand)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct str name;
	struct str value;
	if (!split_override(text, &name, &value)) {
		buf_add_str(word, text);
		return;
	}
	buf_printf(word, "%.*s=", STR_ARG(name));
	if (expand == NULL)
		buf_add_str(word, value);
	else if (!conf_expand(expand, value, word, &error))
		fatal("%s", buf_cstr(&error));
}

/* One argument; with braces where it would fall apart without. */
static void add_word(struct buf *out, struct str text, bool fold)
{
	CLEANUP(buf_free) struct buf word = BUF_INIT(LINE_MAX_BYTES);
	bool braces = text.len == 0 || str_find_any(text, " \t") >= 0 || text.p[0] == '{';
	buf_printf(&word, braces ? "{%.*s}" : "%.*s", STR_ARG(text));
	if (fold) {
		fold_word(out, buf_str(&word), FOLD_ROW);
		return;
	}
	buf_add_char(out, ' ');
	buf_add_str(out, buf_str(&word));
}

/* Options come first, each -o with its value on a line of its own when folded. */
static void add_arguments(
    struct buf *out, const struct master_row *row, const struct row_format *format)
{
	bool in_options = true;
	bool after_override = false;
	for (size_t i = 0; i < row->argument_count; i++) {
		CLEANUP(buf_free) struct buf value = BUF_INIT(LINE_MAX_BYTES);
		struct str text = str_of(row->arguments[i]);
		in_options = in_options && text.len > 0 && text.p[0] == '-';
		bool is_override =
		    in_options && str_is(text, "-o") && i + 1 < row->argument_count;
		if (format->fold && (is_override || after_override))
			fold_break(out);
		add_word(out, text, format->fold);
		if (is_override) {
			add_override(&value, str_of(row->arguments[++i]), format->expand);
			add_word(out, buf_str(&value), format->fold);
		}
		after_override = is_override;
	}
}

static const char *field_word(const struct master_row *row, int field, char number[40])
{
	int64_t value = field == 5 ? row->wakeup : row->maxproc;
	switch (field) {
	case 0:
		return row->name;
	case 1:
		return row->type_name;
	case 2:
		return flag(row->is_private);
	case 3:
		return flag(row->unpriv);
	case 4:
		return flag(row->chroot);
	case ROW_FIELD_COMMAND:
		return row->command;
	default:
		(void)snprintf(number, 40, "%" PRId64 "%s", value,
		    field == 5 && row->wakeup_if_used ? "?" : "");
		return value == MASTER_DEFAULT ? "-" : number;
	}
}

/* Values of -o may speak of the service that they belong to. */
static void name_service(const struct master_row *row, const struct row_format *format)
{
	if (format->expand != NULL)
		conf_computed(format->expand, "service_name", str_of(row->name));
}

void row_field_text(struct buf *out, const struct master_row *row, int field,
    const struct row_format *format)
{
	char number[40];
	buf_add_cstr(out, field_word(row, field, number));
	name_service(row, format);
	if (field == ROW_FIELD_COMMAND)
		add_arguments(out, row, format);
}

void row_text(
    struct buf *out, const struct master_row *row, const struct row_format *format)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char number[40];
	for (int field = 0; field <= ROW_FIELD_COMMAND; field++)
		add_field(&line, (size_t)field, field_word(row, field, number));
	name_service(row, format);
	add_arguments(&line, row, format);
	buf_add_str(out, buf_str(&line));
}

static void print_row(const struct master_row *row, const struct row_format *format)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	row_text(&line, row, format);
	puts(buf_cstr(&line));
}

struct row_request row_request_parse(struct str text)
{
	struct row_request r = {STR("*"), STR("*"), STR("*"), 0};
	struct str *parts[] = {&r.service, &r.type, &r.part};
	for (; r.parts < ARRAY_SIZE(parts); r.parts++) {
		ptrdiff_t slash = str_find(text, '/');
		bool last = slash < 0 || r.parts + 1 == ARRAY_SIZE(parts);
		*parts[r.parts] = last ? text : str_slice(text, 0, (size_t)slash);
		if (last)
			return r.parts++, r;
		text = str_skip(text, (size_t)slash + 1);
	}
	return r;
}

static bool part_matches(struct str pattern, struct str text)
{
	return str_is(pattern, "*") || str_equal(pattern, text);
}

bool row_request_names(const struct row_request *r, struct str service, struct str type)
{
	return part_matches(r->service, service) && part_matches(r->type, type);
}

static bool row_matches(const struct master_row *row, const struct row_request *r)
{
	return row_request_names(r, str_of(row->name), str_of(row->type_name));
}

void rows_print(const struct master_cf *rows, char **requests, size_t count,
    const struct row_format *format)
{
	for (size_t i = 0; count == 0 && i < rows->count; i++)
		print_row(&rows->rows[i], format);
	for (size_t r = 0; r < count; r++) {
		struct row_request request = row_request_parse(str_of(requests[r]));
		bool found = false;
		for (size_t i = 0; i < rows->count; i++)
			if (row_matches(&rows->rows[i], &request)) {
				print_row(&rows->rows[i], format);
				found = true;
			}
		if (!found)
			log_warning("unmatched request: \"%s\"", requests[r]);
	}
}

static void each_override_of(const struct master_row *row,
    void (*call)(void *context, struct str name, struct str value), void *context)
{
	struct str name;
	struct str value;
	for (size_t i = 0; i < row->argument_count && row->arguments[i][0] == '-'; i++)
		if (strcmp(row->arguments[i], "-o") == 0 && i + 1 < row->argument_count &&
		    split_override(str_of(row->arguments[++i]), &name, &value))
			call(context, name, value);
}

void rows_each_override(const struct master_cf *rows,
    void (*call)(void *context, struct str name, struct str value), void *context)
{
	for (size_t i = 0; i < rows->count; i++)
		each_override_of(&rows->rows[i], call, context);
}
