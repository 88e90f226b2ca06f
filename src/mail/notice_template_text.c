/* The $names in the text of a notice. */
#include "mail/notice_template.h"

#include <stdarg.h>

/* More than this is no number for people. */
#define READABLE_MAX 1000

struct expansion {
	const struct notice_template *template;
	struct conf *conf;
	notice_template_warn *warn;
	struct buf *out, *error;
	struct str line; /* the one at hand, for messages */
};

static const struct {
	const char *name;
	char unit; /* of a value without one */
} times[] = {{"delay_warning_time", 'h'}, {"maximal_queue_lifetime", 'd'}};

static const struct {
	const char *name;
	int64_t seconds;
} units[] = {
    {"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400}, {"weeks", 604800}};

PRINTF_LIKE(2, 3) static void say(const struct expansion *x, const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	if (x->warn != NULL)
		x->warn(buf_cstr(&text));
}

/* A number that tells people nothing: said, but written. */
static void judge(const struct expansion *x, struct str name, struct str unit, int64_t n)
{
	const char *kind = x->template->kind;
	if (n > 0 && n < READABLE_MAX)
		return;
	if (n == 0)
		say(x, "%s: zero result in %s template conversion of parameter \"%.*s\"",
		    x->template->origin, kind, STR_ARG(name));
	else
		say(x,
		    "%s: excessive result \"%lld\" in %s template conversion of "
		    "parameter \"%.*s\"",
		    x->template->origin, (long long)n, kind, STR_ARG(name));
	say(x, "please %s time unit \"%.*s\" of \"%.*s\" in %s template",
	    n == 0 ? "reduce" : "increase", STR_ARG(unit), STR_ARG(name), kind);
	say(x, "for instructions see the bounce(5) manual");
}

/* A time parameter's value in the unit that the name ends in. */
static bool add_time(const struct expansion *x, struct str name, size_t which)
{
	struct str parameter = str_of(times[which].name);
	struct str unit = str_skip(name, parameter.len + 1);
	int64_t seconds = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!str_is(unit, units[i].name))
			continue;
		CLEANUP(buf_free) struct buf value = BUF_INIT(100);
		if (!conf_get(x->conf, parameter, &value) ||
		    !conf_parse_time(buf_str(&value), times[which].unit, &seconds))
			break;
		if (seconds > 0) /* what is switched off needs no unit */
			judge(x, name, unit, seconds / units[i].seconds);
		buf_add_i64(x->out, seconds / units[i].seconds);
		return true;
	}
	buf_printf(x->error, "%s: unrecognized suffix \"%.*s\" in parameter \"%.*s\"",
	    x->template->origin, STR_ARG(unit), STR_ARG(name));
	return false;
}

static bool add_name(const struct expansion *x, struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		struct str time = str_of(times[i].name);
		if (name.len > time.len && name.p[time.len] == '_' &&
		    str_starts(name, time))
			return add_time(x, name, i);
	}
	if (conf_get(x->conf, name, x->out))
		return true;
	buf_printf(x->error, "%s: undefined $name in %s template: %.*s",
	    x->template->origin, x->template->kind, STR_ARG(x->line));
	return false;
}

/* The name that `rest` (behind the dollar) begins with, in ( ) or { } or bare. False: it
 * begins with none. */
static bool take_name(struct str *rest, struct str *name_r)
{
	char open = rest->len > 0 ? rest->p[0] : '\0';
	char close = open == '(' ? ')' : open == '{' ? '}' : '\0';
	size_t start = close != '\0', end = start;
	while (end < rest->len && (ascii_is_alnum(rest->p[end]) || rest->p[end] == '_'))
		end++;
	if (end == start ||
	    (close != '\0' && (end == rest->len || rest->p[end] != close)))
		return false;
	*name_r = str_slice(*rest, start, end);
	*rest = str_skip(*rest, end + start);
	return true;
}

static bool expand_line(struct expansion *x)
{
	struct str rest = x->line, name;
	ptrdiff_t dollar;
	while ((dollar = str_find(rest, '$')) >= 0) {
		buf_add_str(x->out, str_slice(rest, 0, (size_t)dollar));
		rest = str_skip(rest, (size_t)dollar + 1);
		if (rest.len > 0 && rest.p[0] == '$') {
			buf_add_char(x->out, '$');
			rest = str_skip(rest, 1);
			continue;
		}
		if (!take_name(&rest, &name)) {
			buf_printf(x->error, "%s: bad $name syntax in %s template: %.*s",
			    x->template->origin, x->template->kind, STR_ARG(x->line));
			return false;
		}
		if (!add_name(x, name))
			return false;
	}
	buf_add_str(x->out, rest);
	return true;
}

bool notice_template_expand(const struct notice_template *t, struct conf *conf,
    notice_template_warn *warn, struct buf *out, struct buf *error)
{
	struct expansion x = {t, conf, warn, out, error, STR_EMPTY};
	struct str rest = t->text;
	while (rest.len > 0) {
		ptrdiff_t end = str_find(rest, '\n');
		x.line = end < 0 ? rest : str_slice(rest, 0, (size_t)end);
		if (!expand_line(&x))
			return false;
		if (end >= 0)
			buf_add_char(out, '\n');
		rest = str_skip(rest, x.line.len + (end >= 0));
	}
	return true;
}
