/*
 * hash:/file and btree:/file, served by an index of our own beside the source text; a
 * file.db of Berkeley DB is neither read nor written. Without an index that is up to date
 * the source text itself is read into memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "table/driver.h"
#include "table/index.h"
#include "table/text_map.h"

struct hash {
	char *path;
	char *index_path;
	struct index *index; /* one of these two; with TABLE_UPDATE a copy is changed */
	struct text_map *text;
	int source_fd;         /* of `text`: to see changes behind the jail too */
	struct timespec mtime; /* of `text` */
};

static struct hash *new_hash(struct str name, const char *suffix)
{
	struct hash *h = memory_alloc(sizeof(*h));
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	buf_add_str(&path, name);
	h->path = memory_copy_cstr(buf_cstr(&path));
	buf_printf(&path, ".%s.lmdb", suffix);
	h->index_path = memory_copy_cstr(buf_cstr(&path));
	h->source_fd = -1;
	return h;
}

static void close_hash(void *state)
{
	struct hash *h = state;
	index_close(h->index);
	text_map_free(h->text);
	file_close(&h->source_fd);
	free(h->index_path);
	free(h->path);
	free(h);
}

static bool older(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* "root: x" or "root:x" in the first line makes it an alias file. */
static enum source_format guess_format(struct str text, unsigned flags)
{
	struct str word;
	if (flags & TABLE_ALIASES)
		return SOURCE_ALIASES;
	while (text.len > 0) {
		ptrdiff_t end = str_find(text, '\n');
		struct str line = str_slice(text, 0, end < 0 ? text.len : (size_t)end);
		text = str_skip(text, line.len + 1);
		if (str_next(&line, " \t\r", &word) && word.p[0] != '#')
			return word.p[word.len - 1] == ':' ? SOURCE_ALIASES : SOURCE_MAP;
	}
	return SOURCE_MAP;
}

static bool add_entry(
    void *context, struct str key, struct str value, UNUSED unsigned line)
{
	(void)!text_map_add(context, key, value);
	return true;
}

static bool read_source(
    struct hash *h, unsigned flags, const char *why, struct buf *error)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SOURCE_SIZE_MAX);
	struct stat status;
	h->source_fd = file_open_following(h->path, O_RDONLY, 0);
	int result =
	    h->source_fd < 0 ? h->source_fd : file_read_whole(AT_FDCWD, h->path, &text);
	if (result < 0) {
		buf_printf(error, "open database %s: %s", h->path, strerror(-result));
		return false;
	}
	if (fstat(h->source_fd, &status) == 0)
		h->mtime = status.st_mtim;
	struct table_source source = {
	    .path = h->path,
	    .format = guess_format(buf_str(&text), flags),
	    .fold = (flags & TABLE_FOLD) != 0,
	};
	log_info("%s is %s; reading %s itself", h->index_path, why, h->path);
	h->text = text_map_new();
	return table_source_parse(&source, buf_str(&text), add_entry, h->text);
}

static bool open_for_reading(struct hash *h, unsigned flags, struct buf *error)
{
	struct stat source;
	struct stat index;
	bool has_source = stat(h->path, &source) == 0;
	if (stat(h->index_path, &index) != 0)
		return read_source(h, flags, "missing", error);
	if (has_source && older(index.st_mtim, source.st_mtim))
		return read_source(h, flags, "older than its source", error);
	h->index = index_open(h->index_path, error);
	return h->index != NULL;
}

static bool open_for_update(struct hash *h, struct buf *error)
{
	struct stat status;
	if (stat(h->index_path, &status) != 0) {
		buf_printf(error, "open database %s: %s", h->index_path, strerror(errno));
		return false;
	}
	h->index = index_begin(h->index_path, true, 0, status.st_mode, error);
	return h->index != NULL;
}

static void *open_with(
    struct str name, const char *suffix, unsigned flags, struct buf *error)
{
	if (name.len > PATH_MAX - 20 || str_find(name, '\0') >= 0) {
		buf_add_cstr(error, "file name too long");
		return NULL;
	}
	struct hash *h = new_hash(name, suffix);
	if (flags & TABLE_UPDATE ? open_for_update(h, error)
				 : open_for_reading(h, flags, error))
		return h;
	close_hash(h);
	return NULL;
}

static void *open_hash(struct str name, unsigned flags, struct buf *error)
{
	return open_with(name, "hash", flags, error);
}

static void *open_btree(struct str name, unsigned flags, struct buf *error)
{
	return open_with(name, "btree", flags, error);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct hash *h = state;
	return h->index != NULL ? index_lookup(h->index, key, value, error)
				: text_map_lookup(h->text, key, value);
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, struct buf *error)
{
	struct hash *h = state;
	return h->index != NULL ? index_next(h->index, first, key, value, error)
				: text_map_next(h->text, first, key, value);
}

static enum table_result update(
    void *state, struct str key, struct str value, struct buf *error)
{
	struct hash *h = state;
	if (key.len == 0 || key.len > INDEX_KEY_MAX) {
		buf_printf(error, "key is longer than %d bytes", INDEX_KEY_MAX);
		return TABLE_BROKEN;
	}
	return index_put(h->index, key, value, true, error);
}

static enum table_result forget(void *state, struct str key, struct buf *error)
{
	struct hash *h = state;
	return index_remove(h->index, key, error);
}

/* After a commit the next change begins with a copy of what was committed. */
static bool commit(void *state, struct buf *error)
{
	struct hash *h = state;
	struct stat status = {.st_mode = 0600};
	if (!index_commit(h->index, error))
		return false;
	(void)stat(h->index_path, &status);
	index_close(h->index);
	h->index = index_begin(h->index_path, true, 0, status.st_mode, error);
	return h->index != NULL;
}

static bool source_changed(const struct hash *h)
{
	struct stat index;
	struct stat source;
	if (fstat(h->source_fd, &source) != 0)
		return false;
	return source.st_nlink == 0 || older(h->mtime, source.st_mtim) ||
	    (stat(h->index_path, &index) == 0 && !older(index.st_mtim, source.st_mtim));
}

static bool changed(void *state)
{
	struct hash *h = state;
	return h->index != NULL ? index_replaced(h->index) : source_changed(h);
}

static bool build_with(struct str name, const char *suffix,
    const struct table_source *source, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	buf_add_str(&path, name);
	buf_printf(&path, ".%s.lmdb", suffix);
	if (!buf_ok(&path)) {
		buf_add_cstr(error, "file name too long");
		return false;
	}
	return index_build(buf_cstr(&path), buf_cstr(&path), source, error);
}

static bool build_hash(
    struct str name, const struct table_source *source, struct buf *error)
{
	return build_with(name, "hash", source, error);
}

static bool build_btree(
    struct str name, const struct table_source *source, struct buf *error)
{
	return build_with(name, "btree", source, error);
}

const struct table_driver table_driver_hash = {
    .type = "hash",
    .fixed = true,
    .open = open_hash,
    .close = close_hash,
    .lookup = lookup,
    .update = update,
    .remove = forget,
    .next = next,
    .commit = commit,
    .changed = changed,
    .build = build_hash,
};

const struct table_driver table_driver_btree = {
    .type = "btree",
    .fixed = true,
    .open = open_btree,
    .close = close_hash,
    .lookup = lookup,
    .update = update,
    .remove = forget,
    .next = next,
    .commit = commit,
    .changed = changed,
    .build = build_btree,
};
