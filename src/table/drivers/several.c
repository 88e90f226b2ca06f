/*
 * Tables made of tables: unionmap:{type:name, ...} joins all answers with commas,
 * pipemap:{...} asks each for what the one before answered. Trouble in one is trouble.
 */
#include "base/memory.h"
#include "table/braces.h"
#include "table/driver.h"

#define TABLES_MAX 100

struct several {
	struct table *tables[TABLES_MAX];
	size_t count;
};

static void close_several(void *state)
{
	struct several *s = state;
	for (size_t i = 0; i < s->count; i++)
		table_close(s->tables[i]);
	free(s);
}

static bool add_table(struct several *s, struct str name, unsigned flags)
{
	ptrdiff_t colon = str_find(name, ':');
	if (colon <= 0 || s->count == TABLES_MAX)
		return false;
	s->tables[s->count++] = table_open(name, flags);
	return true;
}

/* A member that cannot be opened spoils the whole. */
static const char *member_error(const struct several *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (table_error(s->tables[i]) != NULL)
			return table_error(s->tables[i]);
	return NULL;
}

static void *open_several(
    const char *type, struct str name, unsigned flags, struct buf *error)
{
	struct several *s = memory_alloc(sizeof(*s));
	struct str rest = name;
	struct str word;
	bool good = name.len > 0 && name.p[0] == '{' && braces_strip(&rest) == NULL;
	while (good && str_next_braced(&rest, ", \t\r\n", &word))
		good = add_table(s, word, flags & ~(unsigned)TABLE_UPDATE);
	if (!good || s->count == 0)
		buf_printf(error, "bad syntax: \"%s:%.*s\"; need \"%s:{type:name...}\"",
		    type, STR_ARG(name), type);
	else if (member_error(s) != NULL)
		buf_add_cstr(error, member_error(s));
	else
		return s;
	close_several(s);
	return NULL;
}

static void *open_union(struct str name, unsigned flags, struct buf *error)
{
	return open_several("unionmap", name, flags, error);
}

static void *open_pipe(struct str name, unsigned flags, struct buf *error)
{
	return open_several("pipemap", name, flags, error);
}

static enum table_result trouble(
    const struct table *t, enum table_result result, struct buf *error)
{
	if (table_error(t) != NULL)
		buf_add_cstr(error, table_error(t));
	return result;
}

static enum table_result lookup_union(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	const struct several *s = state;
	CLEANUP(buf_free) struct buf one = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result all = TABLE_ABSENT;
	for (size_t i = 0; i < s->count; i++) {
		enum table_result result = table_lookup(s->tables[i], key, &one);
		if (result == TABLE_ABSENT)
			continue;
		if (result != TABLE_FOUND)
			return trouble(s->tables[i], result, error);
		if (all == TABLE_FOUND)
			buf_add_char(value, ',');
		buf_add_str(value, buf_str(&one));
		all = TABLE_FOUND;
	}
	return all;
}

static enum table_result lookup_pipe(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	const struct several *s = state;
	CLEANUP(buf_free) struct buf next = BUF_INIT(TABLE_VALUE_MAX);
	buf_add_str(&next, key);
	for (size_t i = 0; i < s->count; i++) {
		enum table_result result =
		    table_lookup(s->tables[i], buf_str(&next), value);
		if (result == TABLE_ABSENT)
			buf_clear(value);
		if (result != TABLE_FOUND)
			return result == TABLE_ABSENT
			    ? result
			    : trouble(s->tables[i], result, error);
		buf_clear(&next);
		buf_add_str(&next, buf_str(value));
	}
	return TABLE_FOUND;
}

static bool changed(void *state)
{
	const struct several *s = state;
	for (size_t i = 0; i < s->count; i++)
		if (table_changed(s->tables[i]))
			return true;
	return false;
}

static bool is_fixed(const void *state)
{
	const struct several *s = state;
	for (size_t i = 0; i < s->count; i++)
		if (!table_is_fixed(s->tables[i]))
			return false;
	return true;
}

const struct table_driver table_driver_unionmap = {
    .type = "unionmap",
    .is_fixed = is_fixed,
    .open = open_union,
    .close = close_several,
    .lookup = lookup_union,
    .changed = changed,
};

const struct table_driver table_driver_pipemap = {
    .type = "pipemap",
    .is_fixed = is_fixed,
    .open = open_pipe,
    .close = close_several,
    .lookup = lookup_pipe,
    .changed = changed,
};
