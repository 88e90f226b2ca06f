/* postconf -F and -P: fields of rows, and parameters that rows set with -o. */
#include "base/log.h"
#include "base/memory.h"
#include "postconf/fold.h"
#include "postconf/rows.h"

#define LINE_MAX_BYTES 2000000

static const char *const fields[] = {"service", "type", "private", "unprivileged",
    "chroot", "wakeup", "process_limit", "command"};

int row_field_number(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (str_is(name, fields[i]))
			return (int)i;
	return -1;
}

static bool asks_for(const struct row_request *r, const char *part)
{
	return str_is(r->part, "*") || str_is(r->part, part);
}

static void print_part(const struct master_row *row, const char *part, struct str value,
    const struct row_view *view)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	if (view->names)
		buf_printf(&line, "%s/%s/%s", row->name, row->type_name, part);
	if (view->names && view->values)
		buf_add_cstr(&line, " =");
	if (view->values)
		fold_text(&line, value, view->format.fold ? FOLD_PARAMETER : SIZE_MAX);
	puts(buf_cstr(&line));
}

static bool print_fields_of(const struct master_row *row, const struct row_request *r,
    const struct row_view *view)
{
	static const struct row_format straight = {.fold = false};
	bool found = false;
	for (int i = 0; i <= ROW_FIELD_COMMAND; i++) {
		CLEANUP(buf_free) struct buf value = BUF_INIT(LINE_MAX_BYTES);
		struct row_format format = straight;
		format.expand = view->format.expand;
		if (!asks_for(r, fields[i]))
			continue;
		row_field_text(&value, row, i, &format);
		print_part(row, fields[i], buf_str(&value), view);
		found = true;
	}
	return found;
}

/* --- -o --- */

struct override {
	char *name, *value;
};

struct overrides {
	struct override *list;
	size_t count;
};

static void note_override(void *context, struct str name, struct str value)
{
	struct overrides *o = context;
	CLEANUP(buf_free) struct buf copy = BUF_INIT(LINE_MAX_BYTES);
	o->list = memory_resize(o->list, (o->count + 1) * sizeof(*o->list));
	buf_add_str(&copy, name);
	o->list[o->count].name = memory_copy_cstr(buf_cstr(&copy));
	buf_clear(&copy);
	buf_add_str(&copy, value);
	o->list[o->count++].value = memory_copy_cstr(buf_cstr(&copy));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
	    ((const struct override *)a)->name, ((const struct override *)b)->name);
}

static void print_override(
    const struct master_row *row, const struct override *o, const struct row_view *view)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(LINE_MAX_BYTES);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	if (view->format.expand == NULL)
		buf_add_cstr(&value, o->value);
	else {
		conf_computed(view->format.expand, "service_name", str_of(row->name));
		if (!conf_expand(view->format.expand, str_of(o->value), &value, &error))
			log_warning("%s", buf_cstr(&error));
	}
	print_part(row, o->name, buf_str(&value), view);
}

static bool print_overrides_of(const struct master_row *row, const struct row_request *r,
    const struct row_view *view)
{
	struct overrides o = {.count = 0};
	struct master_row copy = *row;
	const struct master_cf one = {.rows = &copy, .count = 1};
	bool found = false;
	rows_each_override(&one, note_override, &o);
	if (o.count > 0)
		qsort(o.list, o.count, sizeof(*o.list), by_name);
	for (size_t i = 0; i < o.count; i++) {
		bool last = i + 1 == o.count || by_name(&o.list[i], &o.list[i + 1]) != 0;
		if (last && asks_for(r, o.list[i].name)) {
			print_override(row, &o.list[i], view);
			found = true;
		}
		free(o.list[i].name);
		free(o.list[i].value);
	}
	free(o.list);
	return found;
}

static void print_parts(const struct master_cf *rows, char **requests, size_t count,
    const struct row_view *view,
    bool (*print)(const struct master_row *row, const struct row_request *r,
	const struct row_view *view))
{
	static char every[] = "*";
	char *all[] = {every};
	for (size_t i = 0; i < (count > 0 ? count : 1); i++) {
		const char *text = count > 0 ? requests[i] : all[0];
		struct row_request r = row_request_parse(str_of(text));
		bool found = count == 0;
		for (size_t row = 0; row < rows->count; row++)
			if (row_request_names(&r, str_of(rows->rows[row].name),
				str_of(rows->rows[row].type_name)) &&
			    print(&rows->rows[row], &r, view))
				found = true;
		if (!found)
			log_warning("unmatched request: \"%s\"", text);
	}
}

void rows_print_fields(const struct master_cf *rows, char **requests, size_t count,
    const struct row_view *view)
{
	print_parts(rows, requests, count, view, print_fields_of);
}

void rows_print_overrides(const struct master_cf *rows, char **requests, size_t count,
    const struct row_view *view)
{
	print_parts(rows, requests, count, view, print_overrides_of);
}
