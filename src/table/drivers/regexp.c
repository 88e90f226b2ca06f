/*
 * regexp:/file, regexp:{{/pattern/flags result}, ...}: POSIX extended regular
 * expressions, the first match wins; $1 ... in a result stand for what the groups
 * matched. Compiled when opened, on the main stack.
 */
#include <regex.h>

#include "base/memory.h"
#include "conf/expand.h"
#include "table/driver.h"
#include "table/rules.h"

#define GROUPS_MAX 99

struct pattern {
	regex_t main;
	bool has_main;  /* compiled */
	regex_t except; /* /main/!/except/: matches only where this does not */
	bool has_except;
	bool substitutes; /* $1 in the result */
	size_t groups;    /* highest number in the result */
};

static void free_pattern(void *state)
{
	struct pattern *p = state;
	if (p == NULL)
		return;
	if (p->has_main)
		regfree(&p->main);
	if (p->has_except)
		regfree(&p->except);
	free(p);
}

/* Flags switch: "ii" is what no flag is. */
static bool parse_flags(
    const struct rules *r, const struct rule *rule, struct str *text, int *flags)
{
	*flags = REG_EXTENDED | REG_ICASE;
	while (text->len > 0 && !ascii_is_space(text->p[0]) && text->p[0] != '!') {
		switch (text->p[0]) {
		case 'i':
			*flags ^= REG_ICASE;
			break;
		case 'm':
			*flags ^= REG_NEWLINE;
			break;
		case 'x':
			*flags ^= REG_EXTENDED;
			break;
		default:
			rule_warn(r, rule,
			    "unknown regexp option \"%c\": skipping this rule",
			    text->p[0]);
			return false;
		}
		*text = str_skip(*text, 1);
	}
	return true;
}

/* Up to the delimiter that began it; a backslash keeps the next byte from ending it. */
static bool take_pattern(const struct rules *r, const struct rule *rule, struct str *text,
    struct str *pattern_r)
{
	if (text->len == 0) {
		rule_warn(r, rule, "no regexp: skipping this rule");
		return false;
	}
	char delimiter = text->p[0];
	size_t i = 1;
	while (i < text->len && text->p[i] != delimiter)
		i += text->p[i] == '\\' && i + 1 < text->len ? 2 : 1;
	if (i >= text->len) {
		rule_warn(r, rule,
		    "no closing regexp delimiter \"%c\": skipping this rule", delimiter);
		return false;
	}
	*pattern_r = str_slice(*text, 1, i);
	*text = str_skip(*text, i + 1);
	return true;
}

static bool compile(const struct rules *r, const struct rule *rule, struct str text,
    int flags, regex_t *regex)
{
	char reason[200];
	char *copy = memory_alloc(text.len + 1);
	memcpy(copy, text.p, text.len);
	int status = regcomp(regex, copy, flags);
	free(copy);
	if (status == 0)
		return true;
	(void)regerror(status, regex, reason, sizeof(reason));
	rule_warn(r, rule, "%s", reason);
	return false;
}

static bool take_regex(
    const struct rules *r, const struct rule *rule, struct str *text, regex_t *regex)
{
	struct str pattern;
	int flags = 0;
	return take_pattern(r, rule, text, &pattern) &&
	    parse_flags(r, rule, text, &flags) && compile(r, rule, pattern, flags, regex);
}

/* Which groups a result names, found by expanding it once. */
struct scan {
	size_t highest;
	const char *bad; /* a name that is no number */
	size_t bad_len;
};

static const char *scan_name(void *context, struct str name, UNUSED bool *expand_r)
{
	struct scan *s = context;
	int64_t number = 0;
	if (!str_to_range(name, 1, GROUPS_MAX, &number)) {
		s->bad = name.p;
		s->bad_len = name.len;
	} else if ((size_t)number > s->highest)
		s->highest = (size_t)number;
	return "";
}

static bool check_result(const struct rules *r, const struct rule *rule,
    struct pattern *pattern, struct str result)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(500);
	struct scan scan = {.highest = 0};
	pattern->substitutes = str_find(result, '$') >= 0;
	if (!expand_text(result, scan_name, &scan, &out, &error, NULL)) {
		rule_warn(r, rule, "%s: bad replacement syntax: skipping this rule",
		    buf_cstr(&error));
		return false;
	}
	if (scan.bad != NULL) {
		rule_warn(r, rule,
		    "non-numeric replacement index \"%.*s\": bad replacement syntax: "
		    "skipping this rule",
		    (int)scan.bad_len, scan.bad);
		return false;
	}
	if (scan.highest > 0 && rule->negate) {
		rule_warn(r, rule,
		    "$number found in negative match replacement text: skipping this rule");
		return false;
	}
	if (scan.highest > 0 && rules_flags(r) & (TABLE_TRUSTED | TABLE_NO_SUBSTITUTE)) {
		rule_warn(r, rule,
		    "regular expression substitution is not allowed: skipping this rule");
		return false;
	}
	if (scan.highest > pattern->main.re_nsub) {
		rule_warn(r, rule,
		    "out of range replacement index \"%zu\": skipping this rule",
		    scan.highest);
		return false;
	}
	pattern->groups = scan.highest;
	return true;
}

static bool parse_parts(
    const struct rules *r, struct str text, struct rule *rule, struct pattern *p)
{
	p->has_main = take_regex(r, rule, &text, &p->main);
	if (!p->has_main)
		return false;
	if (text.len > 0 && text.p[0] == '!') {
		text = str_skip(text, 1);
		p->has_except = take_regex(r, rule, &text, &p->except);
		if (!p->has_except)
			return false;
	}
	text = str_trim(text);
	if (rule->is_if) {
		if (text.len > 0)
			rule_warn(r, rule, "ignoring extra text after IF statement");
		return true;
	}
	if (text.len == 0)
		rule_warn(r, rule, "no replacement text: using empty string");
	if (!check_result(r, rule, p, text))
		return false;
	rule->result = memory_alloc(text.len + 1);
	memcpy(rule->result, text.p, text.len);
	return true;
}

static bool parse(const struct rules *r, struct str text, struct rule *rule)
{
	while (text.len > 0 && text.p[0] == '!') {
		rule->negate = !rule->negate;
		text = str_trim(str_skip(text, 1));
	}
	if (text.len > 0 && (ascii_is_alnum(text.p[0]) || text.p[0] == '{')) {
		rule_warn(r, rule, "ignoring unrecognized request");
		return false;
	}
	struct pattern *p = memory_alloc(sizeof(*p));
	rule->pattern = p;
	if (parse_parts(r, text, rule, p))
		return true;
	free_pattern(p);
	rule->pattern = NULL;
	return false;
}

static const struct rule_kind kind = {
    .title = "regexp map",
    .parse = parse,
    .free_pattern = free_pattern,
};

static void *open_regexp(struct str name, unsigned flags, struct buf *error)
{
	return rules_load(&kind, name, flags, error);
}

static void close_regexp(void *state)
{
	rules_free(state);
}

struct query {
	struct str key;
	regmatch_t groups[GROUPS_MAX + 1];
};

/* With REG_STARTEND the subject is a range, and a NUL in it is a byte like others. */
static bool run(const regex_t *regex, struct query *q, size_t groups)
{
	regmatch_t *found = q->groups;
	found[0].rm_so = 0;
	found[0].rm_eo = (regoff_t)q->key.len;
	return regexec(regex, q->key.p, groups, found, REG_STARTEND) == 0;
}

static bool matches(const struct rule *rule, void *context)
{
	struct query *q = context;
	const struct pattern *p = rule->pattern;
	if (p->has_except && run(&p->except, q, 1))
		return rule->negate; /* not at all, negated or not */
	return run(&p->main, q, rule->negate ? 1 : p->groups + 1);
}

struct substitution {
	const struct query *query;
	struct buf group;
};

static const char *group_text(void *context, struct str name, bool *expand_r)
{
	struct substitution *s = context;
	int64_t number = 0;
	*expand_r = false;
	buf_clear(&s->group);
	if (!str_to_range(name, 1, GROUPS_MAX, &number))
		return NULL;
	const regmatch_t *match = &s->query->groups[number];
	if (match->rm_so >= 0)
		buf_add_str(&s->group,
		    str_slice(s->query->key, (size_t)match->rm_so, (size_t)match->rm_eo));
	return buf_cstr(&s->group);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	/* A NUL behind the key too: sanitizers look for it. */
	CLEANUP(buf_free) struct buf copy = BUF_INIT(key.len);
	buf_add_str(&copy, key);
	struct query query = {.key = {buf_cstr(&copy), key.len}};
	const struct rule *rule = rules_find(state, matches, &query);
	if (rule == NULL)
		return TABLE_ABSENT;
	const struct pattern *p = rule->pattern;
	if (!p->substitutes) {
		buf_add_cstr(value, rule->result);
		return TABLE_FOUND;
	}
	struct substitution s = {.query = &query, .group = BUF_INIT(key.len + 1)};
	bool ok = expand_text(str_of(rule->result), group_text, &s, value, error, NULL);
	buf_free(&s.group);
	return ok ? TABLE_FOUND : TABLE_BROKEN;
}

const struct table_driver table_driver_regexp = {
    .type = "regexp",
    .open = open_regexp,
    .close = close_regexp,
    .lookup = lookup,
};
