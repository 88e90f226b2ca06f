#include "mail/notice_template.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Which words tools look for is settled (subjects, the first line); the rest is ours. */
static const char built_in[] =
    "failure_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: Mail Delivery System <MAILER-DAEMON>\n"
    "Subject: Undelivered Mail Returned to Sender\n"
    "Postmaster-Subject: Postmaster Copy: Undelivered Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Your message could not be delivered to the recipients listed below, and\n"
    "delivery will not be tried again. The reason stands behind each address;\n"
    "the message itself is attached.\n"
    "\n"
    "If you need help, write to postmaster and include this notice.\n"
    "EOF\n"
    "delay_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: Mail Delivery System <MAILER-DAEMON>\n"
    "Subject: Delayed Mail (still being retried)\n"
    "Postmaster-Subject: Postmaster Warning: Delayed Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "THIS IS ONLY A WARNING. THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN.\n"
    "\n"
    "Your message has not reached the recipients listed below for\n"
    "$delay_warning_time_hours hour(s). Delivery is being tried from time to\n"
    "time until the message is $maximal_queue_lifetime_days day(s) old.\n"
    "\n"
    "If you need help, write to postmaster and include this notice.\n"
    "EOF\n"
    "success_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: Mail Delivery System <MAILER-DAEMON>\n"
    "Subject: Successful Mail Delivery Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Your message was delivered to the recipients listed below, or handed on to\n"
    "a system that sends no such reports.\n"
    "EOF\n"
    "verify_template = <<EOF\n"
    "Charset: us-ascii\n"
    "From: Mail Delivery System <MAILER-DAEMON>\n"
    "Subject: Mail Delivery Status Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "This is the delivery report that was asked for.\n"
    "EOF\n";

static const char *const kinds[] = {"failure", "delay", "success", "verify"};

static const struct {
	const char *label;
	size_t offset;
} labels[] = {
    {"Charset", offsetof(struct notice_template, charset)},
    {"From", offsetof(struct notice_template, from)},
    {"Subject", offsetof(struct notice_template, subject)},
    {"Postmaster-Subject", offsetof(struct notice_template, postmaster_subject)},
};

struct reader {
	struct notice_templates *templates;
	const char *path;
	struct str rest;
	unsigned line; /* of the next one */
	notice_template_warn *warn;
	struct buf *error;
};

PRINTF_LIKE(2, 3) static void say(notice_template_warn *warn, const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	if (warn != NULL)
		warn(buf_cstr(&text));
}

/* The next line, its line end taken along in *whole_r. */
static bool next_line(struct reader *r, struct str *line_r, struct str *whole_r)
{
	if (r->rest.len == 0)
		return false;
	ptrdiff_t end = str_find(r->rest, '\n');
	size_t len = end < 0 ? r->rest.len : (size_t)end;
	size_t taken = end < 0 ? len : len + 1;
	*line_r = str_slice(r->rest, 0, len);
	*whole_r = str_slice(r->rest, 0, taken);
	r->rest = str_skip(r->rest, taken);
	r->line++;
	return true;
}

/* Below here: one template. */

static bool bad_field(const struct reader *r, const char *trouble, struct str label,
    const char *what, const char *kind)
{
	say(r->warn, "%s: %s \"%.*s\" header %s in %s template -- ignoring this template",
	    r->path, trouble, STR_ARG(label), what, kind);
	return false;
}

/* "Label: value". False: it is told and the template is not used. */
static bool take_field(
    const struct reader *r, struct notice_template *t, struct str label, struct str value)
{
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		if (!str_is_nocase(label, labels[i].label))
			continue;
		if (value.len == 0)
			return bad_field(r, "empty", label, "value", t->kind);
		if (!str_is_ascii(value))
			return bad_field(r, "non-ASCII", label, "value", t->kind);
		*(struct str *)(void *)((char *)t + labels[i].offset) = value;
		return true;
	}
	return bad_field(r, "unknown", label, "label", t->kind);
}

/* A field is a name of letters and what not without blanks, and a colon. */
static bool split_field(struct str line, struct str *label_r, struct str *value_r)
{
	ptrdiff_t colon = str_find(line, ':');
	if (colon <= 0 || str_find_any(str_slice(line, 0, (size_t)colon), " \t") >= 0)
		return false;
	*label_r = str_slice(line, 0, (size_t)colon);
	*value_r = str_trim(str_skip(line, (size_t)colon + 1));
	return true;
}

static bool text_is_usable(const struct reader *r, const struct notice_template *t)
{
	if (t->text.len == 0) {
		say(r->warn,
		    "%s: missing message text in %s template -- ignoring this template",
		    r->path, t->kind);
		return false;
	}
	if (str_is_nocase(t->charset, "us-ascii") && !str_is_ascii(t->text)) {
		say(r->warn, "%s: 8-bit message text in %s template", r->path, t->kind);
		say(r->warn, "please specify a charset value other than us-ascii");
		say(r->warn, "-- ignoring this template for now");
		return false;
	}
	return true;
}

/* The fields that `body` does not have are those of the template that stands so far. */
static void take_template(const struct reader *r, size_t kind, struct str body)
{
	struct reader lines = {.rest = body};
	struct notice_template t = r->templates->of[kind];
	struct str line, whole, label, value;
	t.kind = kinds[kind];
	t.origin = r->path;
	struct str text = body;
	while (next_line(&lines, &line, &whole)) {
		if (!split_field(line, &label, &value)) {
			if (str_trim(line).len == 0)
				text = lines.rest;
			break;
		}
		if (!take_field(r, &t, label, value))
			return;
		text = lines.rest;
	}
	t.text = text;
	if (text_is_usable(r, &t))
		r->templates->of[kind] = t;
}

/* Below here: the file. */

/* Up to the line that is `marker`. */
static struct str here_text(struct reader *r, struct str marker)
{
	struct str start = r->rest, line, whole;
	while (next_line(r, &line, &whole))
		if (str_equal(line, marker))
			return str_slice(start, 0, (size_t)(line.p - start.p));
	say(r->warn, "%s, line %u: missing \"%.*s\" end marker", r->path, r->line,
	    STR_ARG(marker));
	return start;
}

static bool is_marker(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

static bool bad_line(const struct reader *r, const char *trouble)
{
	buf_printf(r->error, "%s, line %u: %s", r->path, r->line, trouble);
	return false;
}

static bool take_value(struct reader *r, struct str name, struct str value)
{
	if (str_starts(value, STR("<<"))) {
		struct str marker = str_trim(str_skip(value, 2));
		if (marker.len == 0)
			return bad_line(r, "missing end marker after <<");
		if (!is_marker(marker))
			return bad_line(r, "malformed end marker after <<");
		value = here_text(r, marker);
	}
	for (size_t i = 0; i < NOTICE_TEMPLATE_COUNT; i++) {
		size_t len = strlen(kinds[i]);
		if (str_starts(name, str_of(kinds[i])) &&
		    str_is(str_skip(name, len), "_template")) {
			take_template(r, i, value);
			return true;
		}
	}
	say(r->warn, "%s, line %u: unknown template name: %.*s -- ignoring this template",
	    r->path, r->line, STR_ARG(name));
	return true;
}

static bool parse(struct reader *r)
{
	struct str line, whole;
	while (next_line(r, &line, &whole)) {
		struct str assignment = str_trim(line);
		if (assignment.len == 0 || assignment.p[0] == '#')
			continue;
		ptrdiff_t equals = str_find(assignment, '=');
		if (equals < 0) {
			buf_printf(r->error,
			    "%s, line %u: missing '=' after attribute name: \"%.*s\"",
			    r->path, r->line, STR_ARG(assignment));
			return false;
		}
		if (!take_value(r, str_trim(str_slice(assignment, 0, (size_t)equals)),
			str_trim(str_skip(assignment, (size_t)equals + 1))))
			return false;
	}
	return true;
}

bool notice_templates_parse(struct notice_templates *t, const char *path, struct str text,
    notice_template_warn *warn, struct buf *error)
{
	struct reader own = {.templates = t, .path = "[built-in]", .line = 1};
	own.rest = str_of(built_in);
	*t = (struct notice_templates){.source = NULL};
	struct reader r = {.templates = t,
	    .path = path,
	    .rest = text,
	    .line = 1,
	    .warn = warn,
	    .error = error};
	return parse(&own) && parse(&r);
}

bool notice_templates_load(struct notice_templates *t, const char *path,
    notice_template_warn *warn, struct buf *error)
{
	struct buf text = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX);
	bool has_file = path != NULL && *path != '\0';
	int status = has_file ? file_read_whole(AT_FDCWD, path, &text) : 0;
	if (status != 0) {
		buf_printf(error, "open %s: %s", path, strerror(-status));
		buf_free(&text);
		return false;
	}
	bool done = notice_templates_parse(t, path, buf_str(&text), warn, error);
	t->source = text.p; /* the templates lie in it */
	return done;
}

void notice_templates_free(struct notice_templates *t)
{
	free(t->source);
	*t = (struct notice_templates){.source = NULL};
}

void notice_templates_print(const struct notice_templates *t, struct buf *out)
{
	for (size_t i = 0; i < NOTICE_TEMPLATE_COUNT; i++) {
		const struct notice_template *one = &t->of[i];
		buf_printf(out, "%s%s_template = <<EOF\n", i > 0 ? "\n" : "", kinds[i]);
		for (size_t j = 0; j < ARRAY_SIZE(labels); j++) {
			const struct str *value =
			    (const void *)((const char *)one + labels[j].offset);
			if (value->len > 0)
				buf_printf(
				    out, "%s: %.*s\n", labels[j].label, STR_ARG(*value));
		}
		buf_printf(out, "\n%.*s", STR_ARG(one->text));
		buf_add_cstr(out, "EOF\n");
	}
}
