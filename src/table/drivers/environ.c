/* environ:any: the environment of the process. */
#include "base/memory.h"
#include "table/driver.h"

extern char **environ;

struct walk {
	char **at;
};

static void *open_environ(
    UNUSED struct str name, UNUSED unsigned flags, UNUSED struct buf *error)
{
	return memory_alloc(sizeof(struct walk));
}

static enum table_result lookup(
    UNUSED void *state, struct str key, struct buf *value, UNUSED struct buf *error)
{
	char name[256];
	const char *found = NULL;
	if (str_to_cstr(key, name, sizeof(name)) && str_find(key, '=') < 0)
		found = getenv(name);
	if (found == NULL)
		return TABLE_ABSENT;
	buf_add_cstr(value, found);
	return TABLE_FOUND;
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, UNUSED struct buf *error)
{
	struct walk *walk = state;
	if (first)
		walk->at = environ;
	if (walk->at == NULL || *walk->at == NULL)
		return TABLE_ABSENT;
	struct str entry = str_of(*walk->at++);
	ptrdiff_t equals = str_find(entry, '=');
	size_t len = equals < 0 ? entry.len : (size_t)equals;
	buf_add_str(key, str_slice(entry, 0, len));
	buf_add_str(value, str_skip(entry, len + 1));
	return TABLE_FOUND;
}

const struct table_driver table_driver_environ = {
    .type = "environ",
    .fixed = true,
    .open = open_environ,
    .close = free,
    .lookup = lookup,
    .next = next,
};
