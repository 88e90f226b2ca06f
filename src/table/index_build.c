/* index_build: from text to an index file. */
#include <sys/stat.h>

#include "base/log.h"
#include "table/build.h"
#include "table/index.h"

struct building {
	struct index *index;
	const struct table_source *source;
	const char *label;
	struct buf *error;
};

static enum table_result put(struct building *b, struct str key, struct str value)
{
	CLEANUP(buf_free) struct buf key_copy = BUF_INIT(INDEX_KEY_MAX + 1);
	CLEANUP(buf_free) struct buf value_copy = BUF_INIT(value.len + 1);
	bool replace = b->source->duplicates == SOURCE_DUPLICATES_REPLACE;
	if (b->source->with_nul) {
		buf_add_str(&key_copy, key);
		buf_add_char(&key_copy, '\0');
		buf_add_str(&value_copy, value);
		buf_add_char(&value_copy, '\0');
		key = buf_str(&key_copy);
		value = buf_str(&value_copy);
	}
	return index_put(b->index, key, value, replace, b->error);
}

static bool put_entry(void *context, struct str key, struct str value, unsigned line)
{
	struct building *b = context;
	size_t room = INDEX_KEY_MAX - b->source->with_nul;
	if (key.len == 0 || key.len > room) {
		log_warning(
		    "%s, line %u: key is empty or longer than %zu bytes -- ignoring "
		    "this line",
		    b->source->path, line, room);
		return true;
	}
	switch (put(b, key, value)) {
	case TABLE_FOUND:
		return true;
	case TABLE_ABSENT:
		if (b->source->duplicates == SOURCE_DUPLICATES_WARN)
			log_warning(
			    "%s: duplicate entry: \"%.*s\"", b->label, STR_ARG(key));
		return true;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	return false;
}

unsigned build_mode(const struct table_source *source, size_t *size_r)
{
	struct stat status;
	*size_r = source->text.len;
	if (source->path == NULL || source->text.p != NULL ||
	    stat(source->path, &status) != 0)
		return 0644;
	*size_r = (size_t)status.st_size;
	return source->default_mode ? 0644 : status.st_mode & 0666;
}

/* With -F the values are as large as the files that they name. */
#define FILES_ROOM ((size_t)256 << 20)

bool index_build(const char *path, const char *label, const struct table_source *source,
    struct buf *error)
{
	size_t size = 0;
	unsigned mode = build_mode(source, &size);
	struct stat status;
	bool copy = source->incremental && stat(path, &status) == 0;
	struct building b = {.source = source, .label = label, .error = error};
	if (source->values_are_files)
		size += FILES_ROOM;
	b.index =
	    index_begin(path, copy, size, copy ? status.st_mode & 0666 : mode, error);
	bool ok = b.index != NULL && table_source_read(source, put_entry, &b, error) &&
	    index_commit(b.index, error);
	index_close(b.index);
	return ok;
}
