#include "table/braces.h"

const char *braces_strip(struct str *text)
{
	size_t depth = 0;
	size_t i = 0;
	do {
		if (text->p[i] == '{')
			depth++;
		else if (text->p[i] == '}')
			depth--;
		i++;
	} while (i < text->len && depth > 0);
	if (depth > 0)
		return "missing '}'";
	if (i < text->len)
		return "syntax error after '}'";
	*text = str_trim(str_slice(*text, 1, text->len - 1));
	return NULL;
}
