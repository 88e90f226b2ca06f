/*
 * regexp:/file, regexp:{{/pattern/flags result}, ...}: POSIX extended regular
 * expressions, the first match wins; $1 ... in a result stand for what the groups
 * matched. Compiled when opened, on the main stack.
 */
#include <regex.h>

#include "base/memory.h"
#include "table/driver.h"
#include "table/patterns.h"

static unsigned flag(char letter)
{
	switch (letter) {
	case 'i':
		return REG_ICASE;
	case 'm':
		return REG_NEWLINE;
	case 'x':
		return REG_EXTENDED;
	default:
		return 0;
	}
}

static void *compile(struct str text, unsigned flags, size_t *groups_r, struct buf *error)
{
	char reason[200];
	char *copy = memory_alloc(text.len + 1);
	memcpy(copy, text.p, text.len);
	regex_t *regex = memory_alloc(sizeof(*regex));
	int status = regcomp(regex, copy, (int)flags);
	free(copy);
	if (status == 0) {
		*groups_r = regex->re_nsub;
		return regex;
	}
	(void)regerror(status, regex, reason, sizeof(reason));
	buf_add_cstr(error, reason);
	free(regex);
	return NULL;
}

static void free_regex(void *regex)
{
	regfree(regex);
	free(regex);
}

/* With REG_STARTEND the subject is a range, and a NUL in it is a byte like others. */
static enum pattern_match match(const void *regex, UNUSED void *scratch, struct str key,
    struct pattern_group *groups, size_t count, UNUSED struct buf *error)
{
	regmatch_t found[PATTERN_GROUPS_MAX + 1];
	found[0].rm_so = 0;
	found[0].rm_eo = (regoff_t)key.len;
	if (regexec(regex, key.p, count, found, REG_STARTEND) != 0)
		return PATTERN_NO;
	for (size_t i = 0; i < count; i++)
		groups[i] = (struct pattern_group){
		    .start = found[i].rm_so, .end = found[i].rm_eo};
	return PATTERN_YES;
}

static const struct pattern_engine engine = {
    .rules =
	{
	    .title = "regexp map",
	    .parse = patterns_parse,
	    .free_pattern = patterns_free,
	},
    .exceptions = true,
    .flags = REG_EXTENDED | REG_ICASE,
    .flag = flag,
    .compile = compile,
    .free = free_regex,
    .match = match,
};

static void *open_regexp(struct str name, unsigned flags, struct buf *error)
{
	return rules_load(&engine.rules, name, flags, error);
}

const struct table_driver table_driver_regexp = {
    .type = "regexp",
    .constant = true,
    .open = open_regexp,
    .close = patterns_close,
    .lookup = patterns_lookup,
};
