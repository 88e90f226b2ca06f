#include "table/rules.h"

#include <fcntl.h>
#include <limits.h>
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "conf/config_line.h"
#include "table/braces.h"

#define FILE_MAX_BYTES (256u << 20)
#define LINE_MAX_BYTES 1000000u
#define IF_DEPTH_MAX   1000

struct rules {
	const struct rule_kind *kind;
	char *name;
	unsigned flags;
	struct rule *rules;
	size_t count;
	size_t room;
	size_t open[IF_DEPTH_MAX]; /* indexes of ifs without their endif */
	size_t depth;
};

unsigned rules_flags(const struct rules *r)
{
	return r->flags;
}

const struct rule_kind *rules_kind(const struct rules *r)
{
	return r->kind;
}

void rule_warn(const struct rules *r, const struct rule *rule, const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	log_warning(
	    "%s %s, line %u: %s", r->kind->title, r->name, rule->line, buf_cstr(&text));
}

static void append(struct rules *r, const struct rule *rule)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? 16 : r->room * 2;
		r->rules = memory_resize(r->rules, r->room * sizeof(*r->rules));
	}
	r->rules[r->count++] = *rule;
}

/* "if" and "endif" in any case, as a whole word. */
static bool is_word(struct str text, struct str word)
{
	return str_starts_nocase(text, word) &&
	    (text.len == word.len || !ascii_is_alnum(text.p[word.len]));
}

static void add_if(struct rules *r, struct str text, struct rule *rule)
{
	rule->is_if = true;
	if (r->depth == IF_DEPTH_MAX)
		rule_warn(r, rule, "too many nested IFs: skipping this rule");
	else if (r->kind->parse(r, text, rule)) {
		r->open[r->depth++] = r->count;
		append(r, rule);
	}
}

static void add_endif(struct rules *r, struct str text, const struct rule *rule)
{
	if (text.len > 0)
		rule_warn(r, rule, "ignoring extra text after ENDIF");
	if (r->depth == 0)
		rule_warn(r, rule, "ignoring ENDIF without matching IF");
	else
		r->rules[r->open[--r->depth]].end = r->count;
}

static void add_line(struct rules *r, struct str line, unsigned number)
{
	struct rule rule = {.line = number};
	if (str_find(line, '\0') >= 0)
		rule_warn(r, &rule, "line contains a NUL byte: skipping this rule");
	else if (is_word(line, STR("if")))
		add_if(r, str_trim(str_skip(line, 2)), &rule);
	else if (is_word(line, STR("endif")))
		add_endif(r, str_trim(str_skip(line, 5)), &rule);
	else if (r->kind->parse(r, line, &rule))
		append(r, &rule);
}

static bool load_file(struct rules *r, struct buf *error)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct config_lines lines;
	unsigned number = 0;
	int status = file_read_whole(AT_FDCWD, r->name, &text);
	if (status < 0) {
		buf_printf(error, "open %s: %s", r->name, strerror(-status));
		return false;
	}
	config_lines_init(&lines, buf_str(&text));
	while (config_lines_next(&lines, &line, &number)) {
		struct rule rule = {.line = number};
		if (!buf_ok(&line))
			rule_warn(r, &rule, "line is too long: skipping this rule");
		else if (ascii_is_space(line.p[0]))
			log_warning(
			    "%s: logical line must not start with whitespace: \"%.*s\"",
			    r->name, STR_ARG(str_slice(buf_str(&line), 0, 200)));
		else
			add_line(r, str_trim(buf_str(&line)), number);
	}
	return true;
}

static bool load_inline(struct rules *r, struct str name, struct buf *error)
{
	struct str rest = name;
	struct str word;
	unsigned number = 0;
	const char *problem = braces_strip(&rest);
	if (problem != NULL) {
		buf_printf(error, "%s: %s in \"%s\"", r->kind->title, problem, r->name);
		return false;
	}
	while (str_next_braced(&rest, ", \t\r\n", &word)) {
		problem =
		    word.p[0] != '{' ? "no '{' at start of text" : braces_strip(&word);
		if (problem != NULL) {
			buf_printf(error, "%s: %s in \"%.*s\"", r->kind->title, problem,
			    STR_ARG(word));
			return false;
		}
		add_line(r, word, ++number);
	}
	return true;
}

struct rules *rules_load(
    const struct rule_kind *kind, struct str name, unsigned flags, struct buf *error)
{
	CLEANUP(buf_free) struct buf copy = BUF_INIT(LINE_MAX_BYTES);
	struct rules *r = memory_alloc(sizeof(*r));
	r->kind = kind;
	r->flags = flags;
	buf_add_str(&copy, name);
	r->name = memory_copy_cstr(buf_cstr(&copy));
	if (!(name.p[0] == '{' ? load_inline(r, name, error) : load_file(r, error))) {
		rules_free(r);
		return NULL;
	}
	while (r->depth > 0) {
		struct rule *open = &r->rules[r->open[--r->depth]];
		rule_warn(r, open, "IF has no matching ENDIF");
		open->end = r->count;
	}
	return r;
}

void rules_free(struct rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->kind->free_pattern(r->rules[i].pattern);
		free(r->rules[i].result);
	}
	free(r->rules);
	free(r->name);
	free(r);
}

const struct rule *rules_find(const struct rules *r,
    bool (*matches)(const struct rule *rule, void *context), void *context)
{
	size_t i = 0;
	while (i < r->count) {
		const struct rule *rule = &r->rules[i];
		bool holds = matches(rule, context) != rule->negate;
		if (holds && !rule->is_if)
			return rule;
		i = rule->is_if && !holds ? rule->end : i + 1;
	}
	return NULL;
}
