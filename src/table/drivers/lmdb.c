/*
 * lmdb:/file: file.lmdb, as Postfix's postmap writes it or ours: keys and values with a
 * NUL behind them, or without; what a file has is found out at its first answer.
 */
#include <limits.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "table/driver.h"
#include "table/index.h"
#include "table/nul.h"

struct lmdb {
	char *path;
	struct index *index; /* with TABLE_UPDATE a copy is changed */
	struct nul_guess guess;
};

static void close_lmdb(void *state)
{
	struct lmdb *l = state;
	index_close(l->index);
	free(l->path);
	free(l);
}

static bool make_path(struct str name, struct buf *path, struct buf *error)
{
	buf_add_str(path, name);
	buf_add_cstr(path, ".lmdb");
	if (buf_ok(path) && str_find(name, '\0') < 0)
		return true;
	buf_add_cstr(error, "file name too long");
	return false;
}

static struct index *begin_update(const char *path, struct buf *error)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return index_open(path, error); /* says why not */
	return index_begin(path, true, 0, status.st_mode, error);
}

static void *open_lmdb(struct str name, unsigned flags, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	if (!make_path(name, &path, error))
		return NULL;
	struct lmdb *l = memory_alloc(sizeof(*l));
	l->path = memory_copy_cstr(buf_cstr(&path));
	l->index = flags & TABLE_UPDATE ? begin_update(l->path, error)
					: index_open(l->path, error);
	if (l->index != NULL)
		return l;
	close_lmdb(l);
	return NULL;
}

static enum table_result ask(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct lmdb *l = state;
	return index_lookup(l->index, key, value, error);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct lmdb *l = state;
	return nul_lookup(&l->guess, ask, l, key, value, error);
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, struct buf *error)
{
	struct lmdb *l = state;
	enum table_result result = index_next(l->index, first, key, value, error);
	nul_strip(key);
	nul_strip(value);
	return result;
}

static enum table_result update(
    void *state, struct str key, struct str value, struct buf *error)
{
	struct lmdb *l = state;
	if (key.len == 0 || key.len > INDEX_KEY_MAX) {
		buf_printf(error, "key is longer than %d bytes", INDEX_KEY_MAX);
		return TABLE_BROKEN;
	}
	return index_put(l->index, key, value, true, error);
}

static enum table_result forget_one(
    void *state, struct str key, UNUSED struct buf *value, struct buf *error)
{
	struct lmdb *l = state;
	return index_remove(l->index, key, error);
}

static enum table_result forget(void *state, struct str key, struct buf *error)
{
	struct lmdb *l = state;
	return nul_lookup(&l->guess, forget_one, l, key, NULL, error);
}

static bool commit(void *state, struct buf *error)
{
	struct lmdb *l = state;
	if (!index_commit(l->index, error))
		return false;
	index_close(l->index);
	l->index = begin_update(l->path, error);
	return l->index != NULL;
}

static bool changed(void *state)
{
	struct lmdb *l = state;
	return index_replaced(l->index);
}

static bool build(struct str name, const struct table_source *source, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf label = BUF_INIT(PATH_MAX + 10);
	if (!make_path(name, &path, error))
		return false;
	buf_printf(&label, "lmdb:%.*s", STR_ARG(name));
	return index_build(buf_cstr(&path), buf_cstr(&label), source, error);
}

const struct table_driver table_driver_lmdb = {
    .type = "lmdb",
    .fixed = true,
    .open = open_lmdb,
    .close = close_lmdb,
    .lookup = lookup,
    .update = update,
    .remove = forget,
    .next = next,
    .commit = commit,
    .changed = changed,
    .build = build,
};
