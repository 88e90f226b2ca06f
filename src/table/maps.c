#include "table/maps.h"

#include "base/log.h"
#include "base/memory.h"

struct maps {
	char *title;
	struct table **tables;
	size_t count;
	const struct table *last;
};

struct maps *maps_open(const char *title, const char *list, unsigned flags)
{
	struct maps *m = memory_alloc(sizeof(*m));
	struct str rest = str_of(list);
	struct str word;
	m->title = memory_copy_cstr(title);
	while (str_next_braced(&rest, ", \t\r\n", &word)) {
		m->tables =
		    memory_resize(m->tables, (m->count + 1) * sizeof(struct table *));
		m->tables[m->count++] = table_open(word, flags);
	}
	return m;
}

void maps_close(struct maps *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++)
		table_close(m->tables[i]);
	free(m->tables);
	free(m->title);
	free(m);
}

bool maps_empty(const struct maps *m)
{
	return m->count == 0;
}

bool maps_changed(struct maps *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (table_changed(m->tables[i]))
			return true;
	return false;
}

/* Nothing can be done with an empty result, and guessing would be unsafe. */
static enum table_result check_result(
    const struct maps *m, const struct table *t, struct str key, const struct buf *value)
{
	if (value->len > 0)
		return TABLE_FOUND;
	log_warning("%s lookup of %.*s in %s returns an empty string result", m->title,
	    STR_ARG(str_slice(key, 0, 200)), table_name(t));
	log_warning("%s should return NO RESULT in case of NOT FOUND", table_name(t));
	return TABLE_BROKEN;
}

enum table_result maps_lookup(
    struct maps *m, struct str key, bool partial, struct buf *value)
{
	buf_clear(value);
	for (size_t i = 0; i < m->count; i++) {
		struct table *t = m->tables[i];
		if (partial && !table_is_fixed(t))
			continue;
		enum table_result result = table_lookup(t, key, value);
		if (result == TABLE_ABSENT)
			continue;
		m->last = t;
		if (result == TABLE_FOUND)
			return check_result(m, t, key, value);
		log_warning("%s lookup error for \"%.*s\"", table_name(t),
		    STR_ARG(str_slice(key, 0, 200)));
		return result;
	}
	return TABLE_ABSENT;
}

const char *maps_last_name(const struct maps *m)
{
	return m->last != NULL ? table_name(m->last) : "";
}
