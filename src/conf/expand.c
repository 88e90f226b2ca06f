#include "conf/expand.h"

#include "conf/conf.h"
#include "conf/expand_function.h"

/* Levels of $name in values and of {} in texts. */
#define DEPTH_MAX   100
#define SHOWN_BYTES 500 /* of a text in an error, so that the message fits its buffer */
/* References in all: a=$b$b, b=$c$c, ... would take for ever to expand to nothing. */
#define REFERENCES_MAX 100000

struct expander {
	expand_lookup *lookup;
	void *context;
	struct buf *error;
	bool unknown;
	unsigned depth;
	unsigned references;
};

static bool expand(struct expander *e, struct str text, struct buf *out);

static bool fail(struct expander *e, const char *what, struct str text)
{
	buf_printf(
	    e->error, "%s: \"%.*s\"", what, STR_ARG(str_slice(text, 0, SHOWN_BYTES)));
	return false;
}

/* The place of a mistake, as Postfix shows it: "...text before>>>text after". */
static bool fail_at(
    struct expander *e, const char *what, struct str whole, struct str rest)
{
	buf_printf(e->error, "%s at: \"...%.*s>>>%.*s\"", what,
	    STR_ARG(str_slice(whole, 0, whole.len - rest.len)), STR_ARG(rest));
	return false;
}

static struct str trim_left(struct str s)
{
	while (s.len > 0 && ascii_is_space(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

static struct str take_name(struct str *rest)
{
	size_t len = 0;
	while (len < rest->len && (ascii_is_alnum(rest->p[len]) || rest->p[len] == '_'))
		len++;
	struct str name = str_slice(*rest, 0, len);
	*rest = str_skip(*rest, len);
	return name;
}

/* `rest` begins with an opening brace: its content, *rest behind the closing one. */
static bool take_block(struct str *rest, struct str *content_r)
{
	char open = rest->p[0];
	char close = open == '{' ? '}' : ')';
	unsigned depth = 0;
	for (size_t i = 0; i < rest->len; i++) {
		if (rest->p[i] == open)
			depth++;
		else if (rest->p[i] == close && --depth == 0) {
			*content_r = str_slice(*rest, 1, i);
			*rest = str_skip(*rest, i + 1);
			return true;
		}
	}
	return false;
}

static const char *raw_value(struct expander *e, struct str name, bool *expand_r)
{
	*expand_r = true;
	const char *raw = e->lookup(e->context, name, expand_r);
	if (raw == NULL)
		e->unknown = true;
	return raw;
}

static bool add_value(struct expander *e, struct str name, struct buf *out)
{
	bool expandable = true;
	const char *raw = raw_value(e, name, &expandable);
	if (raw == NULL)
		return true;
	if (!expandable) {
		buf_add_cstr(out, raw);
		return true;
	}
	if (e->depth >= DEPTH_MAX)
		return fail(e, "unreasonable macro call nesting", name);
	return expand(e, str_of(raw), out);
}

/*
 * Behind "?" or ":": {text} or text, and behind "?{text}" also ":{text}" or ":text".
 * Without braces everything up to the end belongs to the text, a ':' too.
 */
static bool add_choice(struct expander *e, struct str whole, struct str rest,
    bool condition, struct buf *out)
{
	char operator= rest.p[0];
	struct str first = trim_left(str_skip(rest, 1));
	struct str second = STR_EMPTY;
	if (first.len > 0 && first.p[0] == '{') {
		rest = first;
		if (!take_block(&rest, &first))
			return fail(e, "truncated macro reference", whole);
		first = trim_left(first);
		rest = trim_left(rest);
		if (rest.len > 0 && operator== ':')
			return fail_at(e, "unexpected input", whole, rest);
		if (rest.len > 0 && rest.p[0] != ':')
			return fail_at(e, "\":\" expected", whole, rest);
		second = trim_left(str_skip(rest, 1));
		rest = second;
		if (rest.len > 0 && rest.p[0] == '{') {
			if (!take_block(&rest, &second))
				return fail(e, "truncated macro reference", whole);
			second = trim_left(second);
			if (trim_left(rest).len > 0)
				return fail_at(
				    e, "unexpected input", whole, trim_left(rest));
		}
	}
	return expand(e, condition == (operator== '?') ? first : second, out);
}

enum comparison { EQUAL, UNEQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

/* The longer spelling before its beginning. */
static const struct {
	const char *text;
	enum comparison comparison;
	bool level;
} operators[] = {
    {"==level", EQUAL, true},
    {"!=level", UNEQUAL, true},
    {"<=level", LESS_EQUAL, true},
    {">=level", GREATER_EQUAL, true},
    {"<level", LESS, true},
    {">level", GREATER, true},
    {"==", EQUAL, false},
    {"!=", UNEQUAL, false},
    {"<=", LESS_EQUAL, false},
    {">=", GREATER_EQUAL, false},
    {"<", LESS, false},
    {">", GREATER, false},
};

/* Below 0, 0, above 0 into *order_r. Digits on both sides compare as numbers. */
static bool compare(
    struct expander *e, struct str left, struct str right, bool level, int *order_r)
{
	int64_t a = 0;
	int64_t b = 0;
	if (level) {
		if (!conf_parse_level(left, &a))
			return fail(e, "malformed compatibility level syntax", left);
		if (!conf_parse_level(right, &b))
			return fail(e, "malformed compatibility level syntax", right);
	} else if (str_is_digits(left) && str_is_digits(right)) {
		if (!str_to_i64(left, &a))
			return fail(e, "bad number", left);
		if (!str_to_i64(right, &b))
			return fail(e, "bad number", right);
	} else {
		*order_r = str_compare(left, right);
		return true;
	}
	*order_r = (a > b) - (a < b);
	return true;
}

static bool holds(enum comparison comparison, int order)
{
	switch (comparison) {
	case EQUAL:
		return order == 0;
	case UNEQUAL:
		return order != 0;
	case LESS:
		return order < 0;
	case LESS_EQUAL:
		return order <= 0;
	case GREATER:
		return order > 0;
	case GREATER_EQUAL:
		return order >= 0;
	}
	return false;
}

static bool compare_expanded(
    struct expander *e, struct str left, struct str right, bool level, int *order_r)
{
	CLEANUP(buf_free) struct buf a = BUF_INIT(CONF_VALUE_MAX);
	CLEANUP(buf_free) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	return expand(e, trim_left(left), &a) && expand(e, trim_left(right), &b) &&
	    compare(e, buf_str(&a), buf_str(&b), level, order_r);
}

/* {left} operator {right} [? text [: text]]; without a choice: "true" or nothing. */
static bool add_relation(struct expander *e, struct str whole, struct buf *out)
{
	struct str rest = trim_left(whole);
	struct str left = STR_EMPTY;
	struct str right = STR_EMPTY;
	if (!take_block(&rest, &left))
		return fail(e, "truncated macro reference", whole);
	rest = trim_left(rest);
	size_t i = 0;
	while (i < ARRAY_SIZE(operators) && !str_starts(rest, str_of(operators[i].text)))
		i++;
	if (i == ARRAY_SIZE(operators))
		return fail_at(e,
		    "\"==\" or \"!=\" or \"<\" or \"<=\" or \">=\" or \">\" expected",
		    whole, rest);
	rest = trim_left(str_skip(rest, strlen(operators[i].text)));
	if (rest.len == 0 || rest.p[0] != '{' || !take_block(&rest, &right))
		return fail_at(e, "\"{expression}\" expected", whole, rest);
	int order = 0;
	if (!compare_expanded(e, left, right, operators[i].level, &order))
		return false;
	bool result = holds(operators[i].comparison, order);
	rest = trim_left(rest);
	if (rest.len == 0) {
		buf_add_cstr(out, result ? "true" : "");
		return true;
	}
	if (rest.p[0] != '?' && rest.p[0] != ':')
		return fail_at(e, "\"?\" or \":\" expected", whole, rest);
	return add_choice(e, whole, rest, result, out);
}

/* name{argument} */
static bool add_function(struct expander *e, struct str whole, struct str name,
    struct str rest, struct buf *out)
{
	struct str argument = STR_EMPTY;
	expand_function *function = expand_function_find(name);
	if (function == NULL)
		return fail_at(e, "attribute name syntax error", whole, rest);
	if (!take_block(&rest, &argument))
		return fail(e, "truncated macro reference", whole);
	if (trim_left(rest).len > 0)
		return fail_at(e, "unexpected input", whole, trim_left(rest));
	CLEANUP(buf_free) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	return expand(e, trim_left(argument), &value) &&
	    function(buf_str(&value), out, e->error);
}

/* What stands between ${ and }. */
static bool add_reference(struct expander *e, struct str inner, struct buf *out)
{
	struct str rest = trim_left(inner);
	if (rest.len > 0 && rest.p[0] == '{')
		return add_relation(e, inner, out);
	struct str name = take_name(&rest);
	if (name.len == 0)
		return fail_at(e, "attribute name syntax error", inner, rest);
	if (rest.len > 0 && rest.p[0] == '{')
		return add_function(e, inner, name, rest, out);
	rest = trim_left(rest);
	if (rest.len == 0)
		return add_value(e, name, out);
	if (rest.p[0] != '?' && rest.p[0] != ':')
		return fail_at(e, "attribute name syntax error", inner, rest);
	bool expandable = true;
	const char *raw = raw_value(e, name, &expandable);
	return add_choice(e, inner, rest, raw != NULL && raw[0] != '\0', out);
}

/* `rest` stands behind a '$' of `whole`; moved behind the reference. */
static bool add_dollar(
    struct expander *e, struct str whole, struct str *rest, struct buf *out)
{
	if (e->references++ >= REFERENCES_MAX)
		return fail(e, "too many macro references", whole);
	char c = rest->len > 0 ? rest->p[0] : '\0';
	if (c == '$') {
		buf_add_char(out, '$');
		*rest = str_skip(*rest, 1);
		return true;
	}
	if (c != '{' && c != '(') {
		struct str name = take_name(rest);
		if (name.len == 0)
			return fail(e, "empty macro name", whole);
		return add_value(e, name, out);
	}
	struct str inner = STR_EMPTY;
	if (!take_block(rest, &inner))
		return fail(e, "truncated macro reference", whole);
	if (trim_left(inner).len == 0)
		return fail(e, "empty macro name", whole);
	return add_reference(e, inner, out);
}

static bool expand(struct expander *e, struct str text, struct buf *out)
{
	if (e->depth >= DEPTH_MAX)
		return fail(
		    e, "unreasonable macro call nesting", str_slice(text, 0, 100));
	e->depth++;
	struct str rest = text;
	bool ok = true;
	while (ok && rest.len > 0) {
		ptrdiff_t dollar = str_find(rest, '$');
		size_t plain = dollar < 0 ? rest.len : (size_t)dollar;
		buf_add_str(out, str_slice(rest, 0, plain));
		rest = str_skip(rest, plain);
		if (rest.len == 0)
			break;
		rest = str_skip(rest, 1);
		ok = add_dollar(e, text, &rest, out);
	}
	e->depth--;
	return ok;
}

bool expand_text(struct str text, expand_lookup *lookup, void *context, struct buf *out,
    struct buf *error, bool *unknown_r)
{
	struct expander e = {.lookup = lookup, .context = context, .error = error};
	bool ok = expand(&e, text, out);
	if (ok && !buf_ok(out)) {
		buf_printf(error, "result is longer than %zu bytes", out->ceiling);
		ok = false;
	}
	if (unknown_r != NULL && e.unknown)
		*unknown_r = true;
	return ok;
}
