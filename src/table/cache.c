#include "table/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "table/nul.h"

/* Address space, not disk; it is doubled when it is full. */
#define FIRST_MAP_SIZE ((size_t)1 << 30)

struct cache {
	char *name;
	struct map *memory; /* to allocated texts; or */
	char *path;
	MDB_env *env;
	MDB_dbi dbi;
	int fd;
	struct buf error;
};

static MDB_val val_of(struct str s)
{
	return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.p};
}

static struct str str_of_val(MDB_val v)
{
	return v.mv_data == NULL ? STR_EMPTY : (struct str){v.mv_data, v.mv_size};
}

/* --- opening --- */

static bool make_path(struct str type, struct str name, struct buf *path)
{
	const struct {
		const char *type, *suffix;
	} types[] = {{"lmdb", ".lmdb"}, {"btree", ".btree.lmdb"}, {"hash", ".hash.lmdb"}};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_is(type, types[i].type)) {
			buf_add_str(path, name);
			buf_add_cstr(path, types[i].suffix);
			return buf_ok(path) && str_find(name, '\0') < 0;
		}
	return false;
}

/* A file that is cut off would be read behind its end, which ends a process. */
static int check_size(MDB_env *env, int fd)
{
	MDB_envinfo info;
	MDB_stat tree;
	struct stat status;
	int error = mdb_env_info(env, &info);
	if (error == 0)
		error = mdb_env_stat(env, &tree);
	if (error != 0)
		return error;
	if (fstat(fd, &status) < 0)
		return errno;
	uint64_t least = ((uint64_t)info.me_last_pgno + 1) * tree.ms_psize;
	return (uint64_t)status.st_size < least ? MDB_CORRUPTED : 0;
}

static int open_tree(struct cache *c)
{
	MDB_txn *txn = NULL;
	int error = mdb_txn_begin(c->env, NULL, 0, &txn);
	if (error != 0)
		return error;
	error = mdb_dbi_open(txn, NULL, 0, &c->dbi);
	if (error == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return error;
}

static int open_env(struct cache *c)
{
	int error = mdb_env_create(&c->env);
	if (error == 0)
		error = mdb_env_set_mapsize(c->env, FIRST_MAP_SIZE);
	if (error == 0)
		error = mdb_env_open(
		    c->env, c->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
	if (error == 0)
		error = mdb_env_get_fd(c->env, &c->fd);
	if (error == 0)
		error = -file_lock(c->fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0) {
		error = check_size(c->env, c->fd);
		if (error == 0)
			error = open_tree(c);
		(void)flock(c->fd, LOCK_UN);
	}
	if (error != 0) {
		mdb_env_close(c->env);
		c->env = NULL;
	}
	return error;
}

static bool is_broken(int error)
{
	return error == MDB_INVALID || error == MDB_CORRUPTED ||
	    error == MDB_VERSION_MISMATCH || error == MDB_PAGE_NOTFOUND ||
	    error == MDB_INCOMPATIBLE;
}

static bool open_file(struct cache *c, struct buf *error)
{
	int status = open_env(c);
	if (is_broken(status)) {
		CLEANUP(buf_free) struct buf aside = BUF_INIT(PATH_MAX);
		buf_printf(&aside, "%s.broken", c->path);
		log_warning("%s: %s is broken (%s): renamed to %s, beginning a new one",
		    c->name, c->path, mdb_strerror(status), buf_cstr(&aside));
		int renamed = file_rename(AT_FDCWD, c->path, AT_FDCWD, buf_cstr(&aside));
		status = renamed == 0 ? open_env(c) : -renamed;
	}
	if (status == 0)
		return true;
	buf_printf(error, "open cache %s: %s", c->path, mdb_strerror(status));
	return false;
}

struct cache *cache_open(struct str type_and_name, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX - 16);
	struct cache *c = memory_alloc(sizeof(*c));
	buf_init(&c->error, 1024);
	ptrdiff_t colon = str_find(type_and_name, ':');
	struct str type =
	    str_slice(type_and_name, 0, colon < 0 ? type_and_name.len : (size_t)colon);
	CLEANUP(buf_free) struct buf name = BUF_INIT(PATH_MAX);
	buf_add_str(&name, type_and_name);
	c->name = memory_copy_cstr(buf_cstr(&name));
	if (str_is(type, "internal")) {
		c->memory = map_new();
		return c;
	}
	if (!make_path(type, str_skip(type_and_name, type.len + 1), &path)) {
		buf_printf(
		    error, "%s cannot hold a cache (lmdb, btree or hash)", c->name);
		cache_close(c);
		return NULL;
	}
	c->path = memory_copy_cstr(buf_cstr(&path));
	if (open_file(c, error))
		return c;
	cache_close(c);
	return NULL;
}

void cache_close(struct cache *c)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (c == NULL)
		return;
	while (c->memory != NULL && map_next(c->memory, &at, &key, &value))
		free(value);
	map_free(c->memory);
	if (c->env != NULL)
		mdb_env_close(c->env);
	buf_free(&c->error);
	free(c->path);
	free(c->name);
	free(c);
}

const char *cache_name(const struct cache *c)
{
	return c->name;
}

const char *cache_error(const struct cache *c)
{
	return buf_cstr(&c->error);
}

/* --- transactions --- */

static bool fail(struct cache *c, int status)
{
	buf_clear(&c->error);
	buf_printf(&c->error, "%s: %s", c->path, mdb_strerror(status));
	return false;
}

/* The other process may have made the file larger. */
static int begin(struct cache *c, bool change, MDB_txn **txn)
{
	int error = -file_lock(c->fd, change ? FILE_LOCK_EXCLUSIVE : FILE_LOCK_SHARED);
	if (error != 0)
		return error;
	error = mdb_txn_begin(c->env, NULL, change ? 0 : MDB_RDONLY, txn);
	if (error == MDB_MAP_RESIZED) {
		error = mdb_env_set_mapsize(c->env, 0);
		if (error == 0)
			error = mdb_txn_begin(c->env, NULL, change ? 0 : MDB_RDONLY, txn);
	}
	if (error != 0)
		(void)flock(c->fd, LOCK_UN);
	return error;
}

static int end(struct cache *c, MDB_txn *txn, int error)
{
	if (error == 0)
		error = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	(void)flock(c->fd, LOCK_UN);
	return error;
}

static int grow(struct cache *c)
{
	MDB_envinfo info;
	int error = mdb_env_info(c->env, &info);
	return error != 0 ? error : mdb_env_set_mapsize(c->env, info.me_mapsize * 2);
}

/* --- entries of a file --- */

/* Files of Postfix may hold keys and values with a NUL behind them. */
struct key_forms {
	struct buf with_nul;
	MDB_val plain, other;
};

static void key_forms_init(struct key_forms *k, struct str key)
{
	buf_init(&k->with_nul, CACHE_KEY_MAX + 1);
	buf_add_str(&k->with_nul, key);
	buf_add_char(&k->with_nul, '\0');
	k->plain = val_of(key);
	k->other = val_of(buf_str(&k->with_nul));
}

static enum table_result lookup_in_file(
    struct cache *c, struct str key, struct buf *value)
{
	MDB_txn *txn;
	MDB_val found;
	int status = begin(c, false, &txn);
	if (status == 0) {
		struct key_forms forms;
		key_forms_init(&forms, key);
		status = mdb_get(txn, c->dbi, &forms.plain, &found);
		if (status == MDB_NOTFOUND)
			status = mdb_get(txn, c->dbi, &forms.other, &found);
		if (status == 0)
			buf_add_str(value, str_of_val(found));
		buf_free(&forms.with_nul);
		status = end(c, txn, status);
	}
	if (status == MDB_NOTFOUND)
		return TABLE_ABSENT;
	if (status != 0) {
		(void)fail(c, status);
		return TABLE_BROKEN;
	}
	nul_strip(value);
	return TABLE_FOUND;
}

/* One entry takes the place of both forms; NULL value: removed. */
static int change_in(MDB_txn *txn, MDB_dbi dbi, struct str key, const struct str *value)
{
	struct key_forms forms;
	key_forms_init(&forms, key);
	int status = mdb_del(txn, dbi, &forms.other, NULL);
	if ((status == 0 || status == MDB_NOTFOUND) && value == NULL)
		status = mdb_del(txn, dbi, &forms.plain, NULL);
	if (status == MDB_NOTFOUND)
		status = 0;
	if (status == 0 && value != NULL) {
		MDB_val content = val_of(*value);
		status = mdb_put(txn, dbi, &forms.plain, &content, 0);
	}
	buf_free(&forms.with_nul);
	return status;
}

static int change_once(struct cache *c, struct str key, const struct str *value)
{
	MDB_txn *txn;
	int status = begin(c, true, &txn);
	return status != 0 ? status : end(c, txn, change_in(txn, c->dbi, key, value));
}

static bool change(struct cache *c, struct str key, const struct str *value)
{
	int status = change_once(c, key, value);
	if (status == MDB_MAP_FULL) {
		status = grow(c);
		if (status == 0)
			status = change_once(c, key, value);
	}
	return status == 0 || fail(c, status);
}

static bool is_form_of(struct str name, struct str key)
{
	struct str end = str_skip(name, key.len);
	return str_starts(name, key) &&
	    (end.len == 0 || (end.len == 1 && end.p[0] == '\0'));
}

static int find_next(MDB_txn *txn, MDB_dbi dbi, struct buf *key, struct buf *value)
{
	MDB_cursor *cursor;
	MDB_val name = val_of(buf_str(key)), found;
	int status = mdb_cursor_open(txn, dbi, &cursor);
	if (status != 0)
		return status;
	status = mdb_cursor_get(
	    cursor, &name, &found, key->len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	while (status == 0 && key->len > 0 && is_form_of(str_of_val(name), buf_str(key)))
		status = mdb_cursor_get(cursor, &name, &found, MDB_NEXT);
	if (status == 0) {
		buf_clear(key);
		buf_add_str(key, str_of_val(name));
		buf_add_str(value, str_of_val(found));
	}
	mdb_cursor_close(cursor);
	return status;
}

static enum table_result next_of_file(struct cache *c, struct buf *key, struct buf *value)
{
	MDB_txn *txn;
	int status = begin(c, false, &txn);
	if (status == 0)
		status = end(c, txn, find_next(txn, c->dbi, key, value));
	if (key->len > 1) /* an empty key would begin anew */
		nul_strip(key);
	nul_strip(value);
	if (status == 0)
		return TABLE_FOUND;
	if (status == MDB_NOTFOUND)
		return TABLE_ABSENT;
	(void)fail(c, status);
	return TABLE_BROKEN;
}

/* --- entries --- */

enum table_result cache_lookup(struct cache *c, struct str key, struct buf *value)
{
	buf_clear(value);
	if (key.len == 0 || key.len > CACHE_KEY_MAX)
		return TABLE_ABSENT;
	if (c->memory == NULL)
		return lookup_in_file(c, key, value);
	const char *found = map_get(c->memory, key);
	if (found == NULL)
		return TABLE_ABSENT;
	buf_add_cstr(value, found);
	return TABLE_FOUND;
}

/* Whoever asks for ever new addresses must not fill the memory. */
static void make_room(struct map *memory)
{
	size_t at = 0;
	struct str key;
	void *text;
	if (map_count(memory) >= CACHE_MEMORY_MAX && map_next(memory, &at, &key, &text)) {
		(void)map_remove(memory, key);
		free(text);
	}
}

bool cache_put(struct cache *c, struct str key, struct str value)
{
	if (key.len == 0 || key.len > CACHE_KEY_MAX) {
		buf_clear(&c->error);
		buf_printf(&c->error, "key is longer than %d bytes", CACHE_KEY_MAX);
		return false;
	}
	if (c->memory == NULL)
		return change(c, key, &value);
	CLEANUP(buf_free) struct buf text = BUF_INIT(TABLE_VALUE_MAX);
	buf_add_str(&text, value);
	if (map_get(c->memory, key) == NULL)
		make_room(c->memory);
	free(map_set(c->memory, key, memory_copy_cstr(buf_cstr(&text))));
	return true;
}

bool cache_remove(struct cache *c, struct str key)
{
	if (c->memory == NULL)
		return change(c, key, NULL);
	free(map_remove(c->memory, key));
	return true;
}

enum table_result cache_next(
    struct cache *c, size_t *at, struct buf *key, struct buf *value)
{
	struct str name;
	void *text;
	buf_clear(value);
	if (c->memory == NULL)
		return next_of_file(c, key, value);
	buf_clear(key);
	if (!map_next(c->memory, at, &name, &text))
		return TABLE_ABSENT;
	buf_add_str(key, name);
	buf_add_cstr(value, text);
	return TABLE_FOUND;
}
