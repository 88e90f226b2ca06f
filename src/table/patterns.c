#include "table/patterns.h"

#include "base/log.h"
#include "base/memory.h"
#include "conf/expand.h"

struct pattern {
	const struct pattern_engine *engine;
	void *main;
	void *except;     /* /main/!/except/: matches only where this does not; or NULL */
	bool substitutes; /* $1 in the result */
	size_t groups;    /* highest number in the result */
	size_t has;       /* parentheses in the pattern */
};

static const struct pattern_engine *engine_of(const struct rules *r)
{
	return (const struct pattern_engine *)rules_kind(r); /* its first member */
}

void patterns_free(void *state)
{
	struct pattern *p = state;
	if (p == NULL)
		return;
	if (p->main != NULL)
		p->engine->free(p->main);
	if (p->except != NULL)
		p->engine->free(p->except);
	free(p);
}

/* Flags switch: "ii" is what no flag is. */
static bool parse_flags(
    const struct rules *r, const struct rule *rule, struct str *text, unsigned *flags)
{
	const struct pattern_engine *engine = engine_of(r);
	*flags = engine->flags;
	while (text->len > 0 && !ascii_is_space(text->p[0]) &&
	    !(engine->exceptions && text->p[0] == '!')) {
		unsigned bit = engine->flag(text->p[0]);
		if (bit == 0) {
			rule_warn(r, rule,
			    "unknown regexp option \"%c\": skipping this rule",
			    text->p[0]);
			return false;
		}
		*flags ^= bit;
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
		rule_warn(r, rule, "no closing regexp delimiter \"%c\": %s this rule",
		    delimiter, engine_of(r)->exceptions ? "skipping" : "ignoring");
		return false;
	}
	*pattern_r = str_slice(*text, 1, i);
	*text = str_skip(*text, i + 1);
	return true;
}

static void *take_regex(
    const struct rules *r, const struct rule *rule, struct str *text, size_t *groups_r)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(500);
	struct str pattern;
	unsigned flags = 0;
	if (!take_pattern(r, rule, text, &pattern) || !parse_flags(r, rule, text, &flags))
		return NULL;
	void *regex = engine_of(r)->compile(pattern, flags, groups_r, &error);
	if (regex == NULL)
		rule_warn(r, rule, "%s", buf_cstr(&error));
	return regex;
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
	if (!str_to_range(name, 1, PATTERN_GROUPS_MAX, &number)) {
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
	if (scan.highest > pattern->has) {
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
	size_t ignored = 0;
	p->main = take_regex(r, rule, &text, &p->has);
	if (p->main == NULL)
		return false;
	if (text.len > 0 && text.p[0] == '!') {
		text = str_skip(text, 1);
		p->except = take_regex(r, rule, &text, &ignored);
		if (p->except == NULL)
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

bool patterns_parse(const struct rules *r, struct str text, struct rule *rule)
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
	p->engine = engine_of(r);
	rule->pattern = p;
	if (parse_parts(r, text, rule, p))
		return true;
	patterns_free(p);
	rule->pattern = NULL;
	return false;
}

void patterns_close(void *state)
{
	rules_free(state);
}

struct query {
	const struct rules *rules;
	struct str key;
	void *scratch;
	struct pattern_group groups[PATTERN_GROUPS_MAX + 1];
};

static bool run(
    const struct rule *rule, const void *regex, struct query *q, size_t groups)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(500);
	const struct pattern *p = rule->pattern;
	enum pattern_match result =
	    p->engine->match(regex, q->scratch, q->key, q->groups, groups, &error);
	if (result == PATTERN_TROUBLE)
		rule_warn(q->rules, rule, "%s", buf_cstr(&error));
	return result == PATTERN_YES;
}

static bool matches(const struct rule *rule, void *context)
{
	struct query *q = context;
	const struct pattern *p = rule->pattern;
	if (p->except != NULL && run(rule, p->except, q, 1))
		return rule->negate; /* not at all, negated or not */
	return run(rule, p->main, q, rule->negate ? 1 : p->groups + 1);
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
	if (!str_to_range(name, 1, PATTERN_GROUPS_MAX, &number))
		return NULL;
	const struct pattern_group *match = &s->query->groups[number];
	if (match->start >= 0)
		buf_add_str(&s->group,
		    str_slice(s->query->key, (size_t)match->start, (size_t)match->end));
	return buf_cstr(&s->group);
}

static enum table_result give_result(const struct rule *rule, const struct query *query,
    struct buf *value, struct buf *error)
{
	const struct pattern *p = rule->pattern;
	if (!p->substitutes) {
		buf_add_cstr(value, rule->result);
		return TABLE_FOUND;
	}
	struct substitution s = {.query = query, .group = BUF_INIT(query->key.len + 1)};
	bool ok = expand_text(str_of(rule->result), group_text, &s, value, error, NULL);
	buf_free(&s.group);
	return ok ? TABLE_FOUND : TABLE_BROKEN;
}

enum table_result patterns_lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	/* A NUL behind the key too: sanitizers look for it. */
	CLEANUP(buf_free) struct buf copy = BUF_INIT(key.len);
	const struct pattern_engine *engine = engine_of(state);
	buf_add_str(&copy, key);
	struct query query = {.rules = state, .key = {buf_cstr(&copy), key.len}};
	query.scratch = engine->begin != NULL ? engine->begin() : NULL;
	const struct rule *rule = rules_find(state, matches, &query);
	if (engine->end != NULL)
		engine->end(query.scratch);
	return rule != NULL ? give_result(rule, &query, value, error) : TABLE_ABSENT;
}
