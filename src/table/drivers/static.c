/* static:text, static:{text}: the text, whatever the key. */
#include "base/memory.h"
#include "table/braces.h"
#include "table/driver.h"

static void *open_static(struct str name, UNUSED unsigned flags, struct buf *error)
{
	struct str text = name;
	if (name.p[0] == '{') {
		const char *problem = braces_strip(&text);
		if (problem != NULL) {
			buf_printf(error, "bad static:name syntax: %s in \"%.*s\"",
			    problem, STR_ARG(name));
			return NULL;
		}
	}
	struct buf *value = memory_alloc(sizeof(*value));
	*value = BUF_INIT(TABLE_VALUE_MAX);
	buf_add_str(value, text);
	return value;
}

static void close_static(void *state)
{
	buf_free(state);
	free(state);
}

static enum table_result lookup(
    void *state, UNUSED struct str key, struct buf *value, UNUSED struct buf *error)
{
	buf_add_str(value, buf_str(state));
	return TABLE_FOUND;
}

const struct table_driver table_driver_static = {
    .type = "static",
    .fixed = true,
    .constant = true,
    .open = open_static,
    .close = close_static,
    .lookup = lookup,
};
