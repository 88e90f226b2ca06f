/* texthash:/file: the source text of a hash table, read once, without an index. */
#include <limits.h>

#include "table/driver.h"
#include "table/text_map.h"

static void *open_texthash(struct str name, unsigned flags, struct buf *error)
{
	char path[PATH_MAX];
	CLEANUP(buf_free) struct buf problem = BUF_INIT(PATH_MAX + 200);
	if (!str_to_cstr(name, path, sizeof(path))) {
		buf_add_cstr(error, "file name too long");
		return NULL;
	}
	struct table_source source = {
	    .path = path,
	    .format = flags & TABLE_ALIASES ? SOURCE_ALIASES : SOURCE_MAP,
	    .fold = (flags & TABLE_FOLD) != 0,
	};
	struct text_map *map = text_map_read(&source, &problem);
	if (map == NULL) /* "open database /etc/x: No such file or directory" */
		buf_printf(error, "open database %.*s",
		    STR_ARG(str_skip(buf_str(&problem), strlen("open "))));
	return map;
}

static void close_texthash(void *state)
{
	text_map_free(state);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, UNUSED struct buf *error)
{
	return text_map_lookup(state, key, value);
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, UNUSED struct buf *error)
{
	return text_map_next(state, first, key, value);
}

const struct table_driver table_driver_texthash = {
    .type = "texthash",
    .fixed = true,
    .open = open_texthash,
    .close = close_texthash,
    .lookup = lookup,
    .next = next,
};
