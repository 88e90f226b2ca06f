/*
 * cdb:/file: file.cdb, a constant database that is built as a whole and never changed;
 * one from Postfix's postmap is as good as ours.
 */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "table/build.h"
#include "table/driver.h"
#include "table/nul.h"

struct cdb_table {
	char *path;
	int fd;
	struct cdb db;
	struct nul_guess guess;
	unsigned at; /* of the walk */
};

static void close_cdb(void *state)
{
	struct cdb_table *c = state;
	cdb_free(&c->db);
	file_close(&c->fd);
	free(c->path);
	free(c);
}

static bool make_path(struct str name, struct buf *path, struct buf *error)
{
	buf_add_str(path, name);
	buf_add_cstr(path, ".cdb");
	if (buf_ok(path) && str_find(name, '\0') < 0)
		return true;
	buf_add_cstr(error, "file name too long");
	return false;
}

static void *open_cdb(struct str name, unsigned flags, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	if (!make_path(name, &path, error))
		return NULL;
	if (flags & TABLE_UPDATE) {
		buf_printf(error, "%s: a cdb table can only be built as a whole",
		    buf_cstr(&path));
		return NULL;
	}
	int fd = file_open_following(buf_cstr(&path), O_RDONLY, 0);
	struct cdb db;
	if (fd < 0 || cdb_init(&db, fd) != 0) {
		buf_printf(error, "open database %s: %s", buf_cstr(&path),
		    strerror(fd < 0 ? -fd : errno));
		file_close(&fd);
		return NULL;
	}
	struct cdb_table *c = memory_alloc(sizeof(*c));
	c->path = memory_copy_cstr(buf_cstr(&path));
	c->fd = fd;
	c->db = db;
	return c;
}

static enum table_result broken(const struct cdb_table *c, struct buf *error)
{
	buf_printf(error, "read %s: %s", c->path, strerror(errno));
	return TABLE_BROKEN;
}

static enum table_result ask(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct cdb_table *c = state;
	int found = cdb_find(&c->db, key.p, (unsigned)key.len);
	if (found == 0)
		return TABLE_ABSENT;
	const void *data = found > 0 ? cdb_getdata(&c->db) : NULL;
	if (data == NULL)
		return broken(c, error);
	buf_add(value, data, cdb_datalen(&c->db));
	return TABLE_FOUND;
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct cdb_table *c = state;
	return nul_lookup(&c->guess, ask, c, key, value, error);
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, struct buf *error)
{
	struct cdb_table *c = state;
	if (first)
		cdb_seqinit(&c->at, &c->db);
	int found = cdb_seqnext(&c->at, &c->db);
	if (found == 0)
		return TABLE_ABSENT;
	const void *name = found > 0 ? cdb_getkey(&c->db) : NULL;
	const void *data = found > 0 ? cdb_getdata(&c->db) : NULL;
	if (name == NULL || data == NULL)
		return broken(c, error);
	buf_add(key, name, cdb_keylen(&c->db));
	buf_add(value, data, cdb_datalen(&c->db));
	nul_strip(key);
	nul_strip(value);
	return TABLE_FOUND;
}

static bool changed(void *state)
{
	struct cdb_table *c = state;
	struct stat status;
	return fstat(c->fd, &status) == 0 && status.st_nlink == 0;
}

/* Below here: building. */

struct building {
	struct cdb_make make;
	const struct table_source *source;
	const char *path;
	struct buf *error;
};

static bool put_entry(void *context, struct str key, struct str value, unsigned line)
{
	struct building *b = context;
	CLEANUP(buf_free) struct buf name = BUF_INIT(key.len + 1);
	CLEANUP(buf_free) struct buf content = BUF_INIT(value.len + 1);
	buf_add_str(&name, key);
	buf_add_str(&content, value);
	if (b->source->with_nul) {
		buf_add_char(&name, '\0');
		buf_add_char(&content, '\0');
	}
	bool replace = b->source->duplicates == SOURCE_DUPLICATES_REPLACE;
	int result = cdb_make_put(&b->make, buf_cstr(&name), (unsigned)name.len,
	    buf_cstr(&content), (unsigned)content.len,
	    replace ? CDB_PUT_REPLACE : CDB_PUT_INSERT);
	if (result < 0) {
		buf_printf(
		    b->error, "write %s: line %u: %s", b->path, line, strerror(errno));
		return false;
	}
	if (result > 0 && b->source->duplicates == SOURCE_DUPLICATES_WARN)
		log_warning(
		    "%s: duplicate entry: \"%.*s\"", b->source->path, STR_ARG(key));
	return true;
}

static bool write_file(struct building *b, int fd)
{
	if (cdb_make_start(&b->make, fd) != 0) {
		buf_printf(b->error, "create %s: %s", b->path, strerror(errno));
		return false;
	}
	bool ok = table_source_read(b->source, put_entry, b, b->error);
	int status = cdb_make_finish(&b->make) == 0 ? file_sync(fd) : -errno;
	if (ok && status < 0)
		buf_printf(b->error, "write %s: %s", b->path, strerror(-status));
	return ok && status == 0;
}

static bool put_in_place(
    const struct building *b, const char *temporary, struct buf *error)
{
	char *copy = memory_copy_cstr(b->path);
	int status = file_rename(AT_FDCWD, temporary, AT_FDCWD, b->path);
	if (status == 0)
		status = file_sync_dir(AT_FDCWD, dirname(copy));
	free(copy);
	if (status < 0)
		buf_printf(error, "rename %s: %s", temporary, strerror(-status));
	return status == 0;
}

static bool build(struct str name, const struct table_source *source, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf temporary = BUF_INIT(PATH_MAX + 40);
	CLEANUP(file_close) int fd = -1;
	size_t size = 0;
	unsigned mode = build_mode(source, &size);
	if (!make_path(name, &path, error))
		return false;
	struct building b = {.source = source, .path = buf_cstr(&path), .error = error};
	if (source->incremental) {
		buf_printf(error, "%s: a cdb table can only be built as a whole", b.path);
		return false;
	}
	buf_printf(&temporary, "%s.new-%ld", b.path, (long)getpid());
	(void)!file_unlink(AT_FDCWD, buf_cstr(&temporary));
	fd = file_open_at(
	    AT_FDCWD, buf_cstr(&temporary), O_RDWR | O_CREAT | O_EXCL, (mode_t)mode);
	if (fd < 0) {
		buf_printf(error, "create %s: %s", buf_cstr(&temporary), strerror(-fd));
		return false;
	}
	if (write_file(&b, fd) && put_in_place(&b, buf_cstr(&temporary), error))
		return true;
	(void)!file_unlink(AT_FDCWD, buf_cstr(&temporary));
	return false;
}

const struct table_driver table_driver_cdb = {
    .type = "cdb",
    .fixed = true,
    .open = open_cdb,
    .close = close_cdb,
    .lookup = lookup,
    .next = next,
    .changed = changed,
    .build = build,
};
