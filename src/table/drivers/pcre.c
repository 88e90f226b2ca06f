/*
 * pcre:/file, pcre:{{/pattern/flags result}, ...}: Perl-compatible regular expressions
 * (PCRE2), the first match wins. Compiled when opened, on the main stack; code made by
 * the just-in-time compiler runs on a stack of its own, never on a fiber's, and how long
 * one match may take and how much memory it may use is bounded.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/memory.h"
#include "table/driver.h"
#include "table/patterns.h"

#define STACK_FIRST ((size_t)32 << 10)
#define STACK_MOST  ((size_t)512 << 10)
#define STEPS_MAX   1000000u
#define HEAP_MAX    20000u /* KB */
/* Pattern bits of PCRE2, but for one that it has no bit for. */
#define FLAG_IGNORED 1u

static const struct {
	char letter;
	uint32_t bit;
} letters[] = {
    {'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL},
    {'x', PCRE2_EXTENDED}, {'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY},
    {'U', PCRE2_UNGREEDY}, {'X', FLAG_IGNORED}, /* PCRE2 is always as strict */
};

static unsigned flag(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].bit;
	return 0;
}

static void *compile(struct str text, unsigned flags, size_t *groups_r, struct buf *error)
{
	PCRE2_UCHAR reason[200];
	int status = 0;
	size_t offset = 0;
	uint32_t groups = 0;
	pcre2_code *code = pcre2_compile(
	    (PCRE2_SPTR)text.p, text.len, flags & ~FLAG_IGNORED, &status, &offset, NULL);
	if (code == NULL) {
		(void)pcre2_get_error_message(status, reason, sizeof(reason));
		buf_printf(error, "error in regex at offset %zu: %s", offset,
		    (const char *)reason);
		return NULL;
	}
	/* Where it is not to be had, the interpreter does the same, slower. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	(void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
	*groups_r = groups;
	return code;
}

static void free_code(void *regex)
{
	pcre2_code_free(regex);
}

struct scratch {
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
	pcre2_match_data *data;
};

static void end(void *state)
{
	struct scratch *s = state;
	pcre2_match_data_free(s->data);
	pcre2_jit_stack_free(s->stack);
	pcre2_match_context_free(s->context);
	free(s);
}

static void *begin(void)
{
	struct scratch *s = memory_alloc(sizeof(*s));
	s->context = pcre2_match_context_create(NULL);
	s->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, NULL);
	s->data = pcre2_match_data_create(PATTERN_GROUPS_MAX + 1, NULL);
	if (s->context == NULL || s->stack == NULL || s->data == NULL)
		return s; /* match says so */
	pcre2_jit_stack_assign(s->context, NULL, s->stack);
	(void)pcre2_set_match_limit(s->context, STEPS_MAX);
	(void)pcre2_set_heap_limit(s->context, HEAP_MAX);
	return s;
}

static void copy_groups(
    const struct scratch *s, int found, struct pattern_group *groups, size_t count)
{
	const size_t *offsets = pcre2_get_ovector_pointer(s->data);
	for (size_t i = 0; i < count; i++) {
		bool took_part = i < (size_t)found && offsets[2 * i] != PCRE2_UNSET;
		groups[i].start = took_part ? (ptrdiff_t)offsets[2 * i] : -1;
		groups[i].end = took_part ? (ptrdiff_t)offsets[2 * i + 1] : -1;
	}
}

static enum pattern_match match(const void *regex, void *scratch, struct str key,
    struct pattern_group *groups, size_t count, struct buf *error)
{
	PCRE2_UCHAR reason[200];
	const struct scratch *s = scratch;
	int found = PCRE2_ERROR_NOMEMORY;
	if (s->context != NULL && s->stack != NULL && s->data != NULL)
		found = pcre2_match(
		    regex, (PCRE2_SPTR)key.p, key.len, 0, 0, s->data, s->context);
	if (found == PCRE2_ERROR_NOMATCH)
		return PATTERN_NO;
	if (found < 0) {
		(void)pcre2_get_error_message(found, reason, sizeof(reason));
		buf_add_cstr(error, (const char *)reason);
		return PATTERN_TROUBLE;
	}
	/* 0: more groups than the data has room for; those that fit are there. */
	copy_groups(s, found == 0 ? PATTERN_GROUPS_MAX + 1 : found, groups, count);
	return PATTERN_YES;
}

static const struct pattern_engine engine = {
    .rules =
	{
	    .title = "pcre map",
	    .parse = patterns_parse,
	    .free_pattern = patterns_free,
	},
    .flags = PCRE2_CASELESS | PCRE2_DOTALL,
    .flag = flag,
    .compile = compile,
    .free = free_code,
    .begin = begin,
    .end = end,
    .match = match,
};

static void *open_pcre(struct str name, unsigned flags, struct buf *error)
{
	return rules_load(&engine.rules, name, flags, error);
}

const struct table_driver table_driver_pcre = {
    .type = "pcre",
    .constant = true,
    .open = open_pcre,
    .close = patterns_close,
    .lookup = patterns_lookup,
};
