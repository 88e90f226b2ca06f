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
