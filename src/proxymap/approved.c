#include "proxymap/approved.h"

#define DEPTH_MAX 10

static void add(struct map *approved, struct str list, unsigned depth)
{
	struct str word;
	static char yes[] = "yes";
	while (str_next_braced(&list, ", \t\r\n", &word)) {
		bool proxied = str_starts(word, STR("proxy:"));
		while (str_starts(word, STR("proxy:")))
			word = str_skip(word, strlen("proxy:"));
		if (proxied && word.len > 0)
			(void)map_set(approved, word, yes);
		ptrdiff_t open = str_find(word, '{');
		ptrdiff_t close = str_find_last(word, '}');
		if (open >= 0 && close > open && depth < DEPTH_MAX)
			add(approved, str_slice(word, (size_t)open + 1, (size_t)close),
			    depth + 1);
	}
}

void approved_add(struct map *approved, struct str list)
{
	add(approved, list, 0);
}

bool approved_has(const struct map *approved, struct str table)
{
	return map_get(approved, table) != NULL;
}
