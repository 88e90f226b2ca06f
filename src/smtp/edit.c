#include "smtp/edit.h"

#include <errno.h>

#include "base/log.h"
#include "mail/content_checks.h"
#include "mail/mime_convert.h"
#include "smtp/generic.h"
#include "smtp_wire/capability.h"

#define EXCERPT_MAX 200

static struct {
	struct content_checks *checks; /* NULL: none is set */
	bool structure;                /* some look at the inside of the message */
} edit;

void edit_before_jail(void)
{
	const struct smtp_params *p = &smtp.params;
	edit.checks = content_checks_open(&(struct content_checks_options){
	    .header = {"smtp_header_checks", p->smtp_header_checks},
	    .mime = {"smtp_mime_header_checks", p->smtp_mime_header_checks},
	    .nested = {"smtp_nested_header_checks", p->smtp_nested_header_checks},
	    .body = {"smtp_body_checks", p->smtp_body_checks},
	    .allowed = CONTENT_OUTPUT,
	});
	if (content_checks_empty(edit.checks)) {
		content_checks_close(edit.checks);
		edit.checks = NULL;
	}
	edit.structure = p->smtp_mime_header_checks[0] != '\0' ||
	    p->smtp_nested_header_checks[0] != '\0' || p->smtp_body_checks[0] != '\0';
}

static bool needs_7bit(const struct session *s, const struct delivery *d)
{
	return (s->capabilities & CAPABILITY_8BITMIME) == 0 &&
	    str_is(d->request.encoding, "8bit") &&
	    !smtp.params.disable_mime_output_conversion;
}

bool edit_is_needed(const struct session *s, const struct delivery *d)
{
	return edit.checks != NULL || generic_is_set() || needs_7bit(s, d);
}

/* One text under way. */
struct editor {
	struct delivery *delivery;
	struct data_writer *writer;
	int error; /* the first; nothing is written after it */
};

static void fail(struct editor *e, int error)
{
	if (e->error == 0)
		e->error = error;
}

static void write_line(struct editor *e, struct str line, bool whole)
{
	if (e->error == 0)
		e->error = data_write_line(e->writer, line, whole);
}

static void write_field(struct editor *e, enum mime_class field_class, struct str field)
{
	CLEANUP(buf_free) struct buf mapped = BUF_INIT(field.len * 16 + 65536);
	if (field_class != MIME_HEADER_PRIMARY || !generic_is_set()) {
		write_line(e, field, true);
		return;
	}
	if (!generic_map_field(field, e->delivery->arena, &mapped))
		fail(e, -EAGAIN);
	write_line(e, buf_str(&mapped), true);
}

/* --- what a check found --- */

struct finding {
	struct editor *editor;
	const char *what; /* "header", "body" */
	struct str text;  /* that was found, and what is written in the end */
	enum mime_class field_class;
	struct content_action action;
};

static void write_found(struct finding *f, struct str text)
{
	if (f->what[0] == 'h')
		write_field(f->editor, f->field_class, text);
	else
		write_line(f->editor, text, true);
}

/* Actions that are not logged but for what they drop. */
static bool is_silent(enum content_action_kind kind)
{
	return kind == CONTENT_DUNNO || kind == CONTENT_OK || kind == CONTENT_IGNORE;
}

static void act(struct finding *f)
{
	enum content_action_kind kind = f->action.kind;
	struct str note = f->action.text;
	if (!is_silent(kind))
		log_info("%.*s: %s: %s %.*s%s%.*s",
		    STR_ARG(f->editor->delivery->request.id), content_action_word(kind),
		    f->what, STR_ARG(str_slice(f->text, 0, EXCERPT_MAX)),
		    note.len > 0 ? ": " : "", STR_ARG(note));
	if (kind == CONTENT_PREPEND || kind == CONTENT_REPLACE)
		write_found(f, note);
	if (kind != CONTENT_REPLACE && kind != CONTENT_IGNORE && kind != CONTENT_STRIP)
		write_found(f, f->text);
}

static void on_field(void *context, enum mime_class field_class, struct str field)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct finding f = {.editor = context,
	    .what = "header",
	    .text = field,
	    .field_class = field_class};
	if (edit.checks != NULL &&
	    !content_checks_header(edit.checks, field_class, field, &value, &f.action))
		fail(context, -EAGAIN);
	act(&f);
}

static bool is_checked(const struct mime_text *text)
{
	return edit.checks != NULL && !content_checks_body_empty(edit.checks) &&
	    text->whole && text->line.len > 0;
}

static void on_text(void *context, const struct mime_text *text)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct finding f = {.editor = context, .what = "body", .text = text->line};
	if (!is_checked(text)) {
		write_line(context, text->line, text->whole);
		return;
	}
	if (!content_checks_body(edit.checks, text->line, &value, &f.action))
		fail(context, -EAGAIN);
	act(&f);
}

static void on_header_end(UNUSED void *context, UNUSED bool primary)
{
}

static const struct mime_events events = {
    .field = on_field, .header_end = on_header_end, .text = on_text};

static void feed(struct editor *e, struct str fields, struct mime *mime)
{
	struct delivery *d = e->delivery;
	struct str line;
	bool whole;
	int more = 0;
	while (str_next(&fields, "\n", &line))
		mime_add_line(mime, line, true);
	queue_file_content_start(&d->file, &d->envelope);
	while (e->error == 0 &&
	    (more = queue_file_content_next(&d->file, &line, &whole)) == 1)
		mime_add_line(mime, line, whole);
	if (more < 0)
		fail(e, more);
	mime_end(mime);
}

int edit_send(
    struct session *s, struct delivery *d, struct str fields, struct data_writer *w)
{
	struct editor e = {.delivery = d, .writer = w};
	bool converts = needs_7bit(s, d);
	const struct mime_options options = {
	    .nesting_limit = (unsigned)smtp.params.mime_nesting_limit,
	    .boundary_limit = (size_t)smtp.params.mime_boundary_length_limit,
	    .header_limit = (size_t)smtp.params.header_size_limit,
	    .flat = !converts && !edit.structure};
	if (converts) {
		struct mime_convert *c = mime_convert_new(&options, &events, &e);
		feed(&e, fields, mime_convert_input(c));
		mime_convert_flush(c);
		mime_convert_free(c);
		return e.error;
	}
	struct mime *mime = mime_new(&options, &events, &e);
	feed(&e, fields, mime);
	mime_free(mime);
	return e.error;
}
