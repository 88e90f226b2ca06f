#include "table/text_map.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/panic.h"

/* Values only; a source text has its own ceiling below this. */
#define VALUES_MAX ((size_t)2 << 30)

struct text_map {
	struct map *map; /* struct str, in the arena */
	struct arena *arena;
	size_t at;
};

struct text_map *text_map_new(void)
{
	struct text_map *m = memory_alloc(sizeof(*m));
	m->map = map_new();
	m->arena = arena_new(VALUES_MAX);
	return m;
}

void text_map_free(struct text_map *m)
{
	if (m == NULL)
		return;
	map_free(m->map);
	arena_free(m->arena);
	free(m);
}

bool text_map_add(struct text_map *m, struct str key, struct str value)
{
	if (map_get(m->map, key) != NULL)
		return false;
	struct str *copy = arena_alloc(m->arena, sizeof(*copy));
	ENSURE(copy != NULL);
	*copy = arena_str(m->arena, value);
	ENSURE(copy->p != NULL);
	(void)map_set(m->map, key, copy);
	return true;
}

size_t text_map_count(const struct text_map *m)
{
	return map_count(m->map);
}

struct filling {
	struct text_map *map;
	const struct table_source *source;
};

static bool add_entry(void *context, struct str key, struct str value, unsigned line)
{
	struct filling *f = context;
	if (!text_map_add(f->map, key, value) &&
	    f->source->duplicates == SOURCE_DUPLICATES_WARN)
		log_warning("%s, line %u: duplicate entry: \"%.*s\"", f->source->path,
		    line, STR_ARG(key));
	return true;
}

struct text_map *text_map_read(const struct table_source *source, struct buf *error)
{
	struct filling f = {.map = text_map_new(), .source = source};
	if (table_source_read(source, add_entry, &f, error))
		return f.map;
	text_map_free(f.map);
	return NULL;
}

enum table_result text_map_lookup(
    const struct text_map *m, struct str key, struct buf *value)
{
	const struct str *found = map_get(m->map, key);
	if (found == NULL)
		return TABLE_ABSENT;
	buf_add_str(value, *found);
	return TABLE_FOUND;
}

enum table_result text_map_next(
    struct text_map *m, bool first, struct buf *key, struct buf *value)
{
	struct str name;
	void *found = NULL;
	if (first)
		m->at = 0;
	if (!map_next(m->map, &m->at, &name, &found))
		return TABLE_ABSENT;
	buf_add_str(key, name);
	buf_add_str(value, *(const struct str *)found);
	return TABLE_FOUND;
}
