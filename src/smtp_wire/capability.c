#include "smtp_wire/capability.h"

static const char *const keywords[CAPABILITY_COUNT] = {
#define CAPABILITY_KEYWORD(name, keyword) [CAPABILITY_INDEX_##name] = (keyword),
    CAPABILITIES(CAPABILITY_KEYWORD)
#undef CAPABILITY_KEYWORD
};

const char *capability_keyword(enum capability_index i)
{
	return keywords[i];
}

uint32_t capability_find(struct str keyword)
{
	for (unsigned i = 0; i < CAPABILITY_COUNT; i++)
		if (str_is_nocase(keyword, keywords[i]))
			return 1u << i;
	return 0;
}

uint32_t capability_list(struct str list, bool *silent_r)
{
	uint32_t found = 0;
	struct str word;
	*silent_r = false;
	while (str_next(&list, " \t\r\n,", &word)) {
		if (str_is_nocase(word, "silent-discard"))
			*silent_r = true;
		found |= capability_find(word);
	}
	return found;
}

static const struct {
	const char *name, *attribute;
} xforward[XFORWARD_COUNT] = {
#define XFORWARD_ROW(name, attribute) [XFORWARD_##name] = {#name, (attribute)},
    XFORWARD_ATTRIBUTES(XFORWARD_ROW)
#undef XFORWARD_ROW
};

const char *xforward_name(enum xforward_attribute i)
{
	return xforward[i].name;
}

const char *xforward_attribute(enum xforward_attribute i)
{
	return xforward[i].attribute;
}

static uint32_t xforward_list(struct str list)
{
	uint32_t found = 0;
	struct str word;
	while (str_next(&list, " \t", &word))
		for (unsigned i = 0; i < XFORWARD_COUNT; i++)
			if (str_is_nocase(word, xforward[i].name))
				found |= 1U << i;
	return found;
}

/* "SIZE 10240000", "AUTH=PLAIN LOGIN" (an old form). */
static void take_keyword(struct str line, struct ehlo *r)
{
	struct str keyword;
	if (!str_next(&line, " \t=", &keyword))
		return;
	uint32_t bit = capability_find(keyword);
	r->capabilities |= bit;
	if (bit == CAPABILITY_SIZE && !str_to_i64(str_trim(line), &r->size_limit))
		r->size_limit = 0;
	if (bit == CAPABILITY_XFORWARD)
		r->xforward |= xforward_list(line);
}

void ehlo_read(struct str lines, struct ehlo *r)
{
	struct str line, first;
	*r = (struct ehlo){.name = STR_EMPTY};
	if (!str_next(&lines, "\n", &first))
		return;
	first = str_skip(first, 4);
	if (!str_next(&first, " \t", &r->name))
		r->name = STR_EMPTY;
	while (str_next(&lines, "\n", &line))
		take_keyword(str_skip(line, 4), r);
	if (r->size_limit < 0)
		r->size_limit = 0;
}
