#include "table/index.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <lmdb.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"

/* An entry with its page overhead, half-filled pages included, against its text. */
#define GROWTH     16
#define ROOM_EXTRA ((size_t)64 << 20)

struct index {
	char *path;
	char *temporary; /* NULL: open for reading, or done */
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn;
	MDB_cursor *cursor;
};

static bool fail(struct buf *error, const char *what, const char *path, int status)
{
	buf_printf(error, "%s %s: %s", what, path, mdb_strerror(status));
	return false;
}

static struct index *new_index(const char *path)
{
	struct index *x = memory_alloc(sizeof(*x));
	x->path = memory_copy_cstr(path);
	return x;
}

void index_close(struct index *x)
{
	if (x == NULL)
		return;
	if (x->cursor != NULL)
		mdb_cursor_close(x->cursor);
	if (x->txn != NULL)
		mdb_txn_abort(x->txn);
	if (x->env != NULL)
		mdb_env_close(x->env);
	if (x->temporary != NULL)
		(void)!file_unlink(AT_FDCWD, x->temporary);
	free(x->temporary);
	free(x->path);
	free(x);
}

static int open_env(struct index *x, const char *path, unsigned flags, size_t map_size)
{
	int status = mdb_env_create(&x->env);
	if (status == 0 && map_size > 0)
		status = mdb_env_set_mapsize(x->env, map_size);
	if (status == 0)
		status =
		    mdb_env_open(x->env, path, MDB_NOSUBDIR | MDB_NOLOCK | flags, 0600);
	if (status == 0)
		status = mdb_txn_begin(x->env, NULL, flags & MDB_RDONLY, &x->txn);
	if (status == 0)
		status = mdb_dbi_open(x->txn, NULL, 0, &x->dbi);
	return status;
}

struct index *index_open(const char *path, struct buf *error)
{
	struct index *x = new_index(path);
	int status = open_env(x, path, MDB_RDONLY | MDB_NORDAHEAD, 0);
	if (status == 0) {
		mdb_txn_reset(x->txn);
		return x;
	}
	(void)fail(error, "open database", path, status);
	index_close(x);
	return NULL;
}

/* The new file, empty or a copy. 0 or an errno. */
static int make_temporary(
    const char *path, bool copy, const char *temporary, unsigned mode)
{
	CLEANUP(file_close)
	int fd = file_open_at(
	    AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL, (mode_t)mode & 0666);
	if (fd < 0)
		return -fd;
	if (!copy)
		return 0;
	MDB_env *old = NULL;
	int status = mdb_env_create(&old);
	if (status == 0)
		status =
		    mdb_env_open(old, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0600);
	if (status == 0)
		status = mdb_env_copyfd2(old, fd, MDB_CP_COMPACT);
	if (old != NULL)
		mdb_env_close(old);
	return status;
}

static size_t size_of(const char *path)
{
	struct stat status;
	return file_stat_at(AT_FDCWD, path, &status) == 0 ? (size_t)status.st_size : 0;
}

struct index *index_begin(
    const char *path, bool copy, size_t room, unsigned mode, struct buf *error)
{
	struct index *x = new_index(path);
	CLEANUP(buf_free) struct buf temporary = BUF_INIT(PATH_MAX);
	buf_printf(&temporary, "%s.new-%ld", path, (long)getpid());
	(void)!file_unlink(AT_FDCWD, buf_cstr(&temporary)); /* of a process long dead */
	int status = make_temporary(path, copy, buf_cstr(&temporary), mode);
	if (status != 0) {
		(void)fail(error, copy ? "open database" : "create database",
		    copy ? path : buf_cstr(&temporary), status);
		if (status != EEXIST)
			(void)!file_unlink(AT_FDCWD, buf_cstr(&temporary));
		index_close(x);
		return NULL;
	}
	x->temporary = memory_copy_cstr(buf_cstr(&temporary));
	size_t map_size = (size_of(path) + room) * GROWTH + ROOM_EXTRA;
	status = open_env(x, x->temporary, MDB_NOSYNC, map_size);
	if (status == 0)
		return x;
	(void)fail(error, "create database", x->temporary, status);
	index_close(x);
	return NULL;
}

static int sync_env(MDB_env *env)
{
	int fd = -1;
	int status = mdb_env_sync(env, 1);
	if (status == 0)
		status = mdb_env_get_fd(env, &fd);
	return status != 0 ? status : -file_sync(fd);
}

static int sync_directory(const char *path)
{
	char *copy = memory_copy_cstr(path);
	int status = file_sync_dir(AT_FDCWD, dirname(copy));
	free(copy);
	return status;
}

bool index_commit(struct index *x, struct buf *error)
{
	if (x->cursor != NULL)
		mdb_cursor_close(x->cursor);
	x->cursor = NULL;
	int status = mdb_txn_commit(x->txn);
	x->txn = NULL;
	if (status == 0)
		status = sync_env(x->env);
	if (status != 0)
		return fail(error, "write database", x->temporary, status);
	status = -file_rename(AT_FDCWD, x->temporary, AT_FDCWD, x->path);
	if (status != 0)
		return fail(error, "rename database", x->temporary, status);
	free(x->temporary);
	x->temporary = NULL;
	status = -sync_directory(x->path);
	return status == 0 || fail(error, "sync the directory of", x->path, status);
}

bool index_replaced(const struct index *x)
{
	int fd = -1;
	struct stat status;
	return mdb_env_get_fd(x->env, &fd) == 0 && fstat(fd, &status) == 0 &&
	    status.st_nlink == 0;
}

static enum table_result broken(const struct index *x, int status, struct buf *error)
{
	(void)fail(error, "access database", x->path, status);
	return TABLE_BROKEN;
}

/* Readers hold no snapshot between two questions, but during a walk. */
static int begin_read(struct index *x)
{
	if (x->temporary != NULL || x->cursor != NULL)
		return 0;
	int status = mdb_txn_renew(x->txn);
	if (status != MDB_MAP_RESIZED)
		return status;
	/* Postfix's postmap changes its files in place, and has grown this one. */
	status = mdb_env_set_mapsize(x->env, 0);
	return status != 0 ? status : mdb_txn_renew(x->txn);
}

static void end_read(struct index *x)
{
	if (x->temporary == NULL && x->cursor == NULL)
		mdb_txn_reset(x->txn);
}

static void end_walk(struct index *x)
{
	if (x->cursor == NULL)
		return;
	mdb_cursor_close(x->cursor);
	x->cursor = NULL;
	end_read(x);
}

/* LMDB takes bytes that it does not change through a pointer that is not const. */
static MDB_val val_of(struct str s)
{
	return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.p};
}

static struct str str_of_val(MDB_val v)
{
	return (struct str){v.mv_data, v.mv_size};
}

enum table_result index_lookup(
    struct index *x, struct str key, struct buf *value, struct buf *error)
{
	MDB_val name = val_of(key);
	MDB_val found;
	if (key.len == 0 || key.len > INDEX_KEY_MAX)
		return TABLE_ABSENT;
	int status = begin_read(x);
	if (status != 0)
		return broken(x, status, error);
	status = mdb_get(x->txn, x->dbi, &name, &found);
	if (status == 0)
		buf_add_str(value, str_of_val(found));
	end_read(x);
	if (status == MDB_NOTFOUND)
		return TABLE_ABSENT;
	return status == 0 ? TABLE_FOUND : broken(x, status, error);
}

static int start_walk(struct index *x)
{
	end_walk(x);
	int status = begin_read(x);
	return status != 0 ? status : mdb_cursor_open(x->txn, x->dbi, &x->cursor);
}

enum table_result index_next(
    struct index *x, bool first, struct buf *key, struct buf *value, struct buf *error)
{
	MDB_val name;
	MDB_val found;
	int status = first ? start_walk(x) : 0;
	if (status == 0 && x->cursor == NULL)
		return TABLE_ABSENT;
	if (status == 0)
		status = mdb_cursor_get(x->cursor, &name, &found, MDB_NEXT);
	if (status == 0) {
		buf_add_str(key, str_of_val(name));
		buf_add_str(value, str_of_val(found));
		return TABLE_FOUND;
	}
	end_walk(x);
	return status == MDB_NOTFOUND ? TABLE_ABSENT : broken(x, status, error);
}

enum table_result index_put(
    struct index *x, struct str key, struct str value, bool replace, struct buf *error)
{
	MDB_val name = val_of(key);
	MDB_val content = val_of(value);
	int status =
	    mdb_put(x->txn, x->dbi, &name, &content, replace ? 0 : MDB_NOOVERWRITE);
	if (status == MDB_KEYEXIST)
		return TABLE_ABSENT;
	return status == 0 ? TABLE_FOUND : broken(x, status, error);
}

enum table_result index_remove(struct index *x, struct str key, struct buf *error)
{
	MDB_val name = val_of(key);
	if (key.len == 0 || key.len > INDEX_KEY_MAX)
		return TABLE_ABSENT;
	int status = mdb_del(x->txn, x->dbi, &name, NULL);
	if (status == MDB_NOTFOUND)
		return TABLE_ABSENT;
	return status == 0 ? TABLE_FOUND : broken(x, status, error);
}
