#include "conf/references.h"

#include "base/map.h"
#include "base/memory.h"

struct references {
	struct map *names;
	struct map *tables; /* "people" of "ldap:people" */
};

static const char *const table_types[] = {
    "ldap:",
    "memcache:",
    "mongodb:",
    "mysql:",
    "pgsql:",
    "sqlite:",
};

struct references *references_new(void)
{
	struct references *r = memory_alloc(sizeof(*r));
	r->names = map_new();
	r->tables = map_new();
	return r;
}

void references_free(struct references *r)
{
	if (r == NULL)
		return;
	map_free(r->names);
	map_free(r->tables);
	free(r);
}

static struct str name_at_start(struct str s)
{
	size_t len = 0;
	while (len < s.len && (ascii_is_alnum(s.p[len]) || s.p[len] == '_'))
		len++;
	return str_slice(s, 0, len);
}

static void note(struct references *r, struct map *names, struct str name)
{
	if (name.len > 0)
		(void)map_set(names, name, r);
}

static void add_dollars(struct references *r, struct str rest)
{
	ptrdiff_t dollar;
	while ((dollar = str_find(rest, '$')) >= 0) {
		rest = str_skip(rest, (size_t)dollar + 1);
		if (rest.len > 0 && rest.p[0] == '$') {
			rest = str_skip(rest, 1);
			continue;
		}
		if (rest.len > 0 && (rest.p[0] == '{' || rest.p[0] == '('))
			rest = str_skip(rest, 1);
		while (rest.len > 0 && ascii_is_space(rest.p[0]))
			rest = str_skip(rest, 1);
		note(r, r->names, name_at_start(rest));
	}
}

static void add_tables(struct references *r, struct str value)
{
	for (size_t i = 0; i < ARRAY_SIZE(table_types); i++) {
		struct str rest = value;
		ptrdiff_t at;
		while ((at = str_find_str(rest, str_of(table_types[i]))) >= 0) {
			rest = str_skip(rest, (size_t)at + strlen(table_types[i]));
			note(r, r->tables, name_at_start(rest));
		}
	}
}

void references_add(struct references *r, struct str name, struct str value)
{
	add_dollars(r, value);
	add_tables(r, value);
	struct str word;
	if (str_is(name, "smtpd_restriction_classes"))
		while (str_next(&value, ", \t\r\n", &word))
			note(r, r->names, word);
}

bool references_has(const struct references *r, struct str name)
{
	if (map_get(r->names, name) != NULL)
		return true;
	for (size_t i = 1; i < name.len; i++)
		if (name.p[i] == '_' && map_get(r->tables, str_slice(name, 0, i)) != NULL)
			return true;
	return false;
}
