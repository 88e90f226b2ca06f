#include "postconf/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/panic.h"

/* Whoever renamed the file that we waited for is done: then it is not ours. */
static bool still_there(int fd, const char *path)
{
	struct stat open_one;
	struct stat named;
	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
	    open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

/* The file as it is once nobody else edits it. */
static int open_locked(const char *path)
{
	for (;;) {
		int fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0);
		if (fd < 0)
			fatal("open %s: %s", path, strerror(-fd));
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				fatal("lock %s: %s", path, strerror(errno));
		if (still_there(fd, path))
			return fd;
		file_close(&fd);
	}
}

static void edit_open(struct edit_file *f, const char *directory, const char *name)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf temporary = BUF_INIT(PATH_MAX + 10);
	char real[PATH_MAX];
	buf_printf(&path, "%s/%s", directory, name);
	if (realpath(buf_cstr(&path), real) == NULL)
		fatal("open %s: %s", buf_cstr(&path), strerror(errno));
	buf_printf(&temporary, "%s.tmp", real);
	*f = (struct edit_file){
	    .path = memory_copy_cstr(real),
	    .temporary = memory_copy_cstr(buf_cstr(&temporary)),
	    .text = BUF_INIT(EDIT_FILE_MAX),
	    .out = BUF_INIT(EDIT_FILE_MAX * 2),
	};
	f->fd = open_locked(f->path);
	int status = file_read_whole(AT_FDCWD, real, &f->text);
	if (status < 0)
		fatal("open %s: %s", buf_cstr(&path), strerror(-status));
}

static int give_owner_and_mode(const struct edit_file *f, int fd)
{
	struct stat status;
	if (fstat(f->fd, &status) < 0)
		return -errno;
	bool own = status.st_uid == geteuid() && status.st_gid == getegid();
	if (!own && fchown(fd, status.st_uid, status.st_gid) < 0)
		return -errno;
	return fchmod(fd, status.st_mode & 07777) < 0 ? -errno : 0;
}

static int write_new(const struct edit_file *f)
{
	(void)!file_unlink(AT_FDCWD, f->temporary); /* of one that died */
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, f->temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	int status = file_write_all(fd, buf_cstr(&f->out), f->out.len);
	if (status == 0)
		status = give_owner_and_mode(f, fd);
	if (status == 0)
		status = file_sync(fd);
	if (status == 0)
		status = file_rename(AT_FDCWD, f->temporary, AT_FDCWD, f->path);
	if (status < 0)
		(void)!file_unlink(AT_FDCWD, f->temporary);
	return status;
}

static void replace(const struct edit_file *f)
{
	int status = write_new(f);
	if (status < 0)
		fatal("write %s: %s", f->temporary, strerror(-status));
	char *copy = memory_copy_cstr(f->path);
	status = file_sync_dir(AT_FDCWD, dirname(copy));
	free(copy);
	if (status < 0)
		fatal("sync the directory of %s: %s", f->path, strerror(-status));
}

/* Frees too; writes only when something changed. */
static void edit_commit(struct edit_file *f)
{
	if (!buf_ok(&f->out))
		fatal("%s would become too large", f->path);
	if (!str_equal(buf_str(&f->out), buf_str(&f->text)))
		replace(f);
	file_close(&f->fd);
	buf_free(&f->text);
	buf_free(&f->out);
	free(f->temporary);
	free(f->path);
}

bool edit_next_line(struct str *rest, struct str *line_r)
{
	if (rest->len == 0)
		return false;
	ptrdiff_t end = str_find(*rest, '\n');
	*line_r = str_slice(*rest, 0, end < 0 ? rest->len : (size_t)end);
	*rest = str_skip(*rest, line_r->len + 1);
	return true;
}

bool edit_is_comment(struct str line)
{
	struct str text = str_trim(line);
	return text.len == 0 || text.p[0] == '#';
}

bool edit_is_continuation(struct str line)
{
	return line.len > 0 && ascii_is_space(line.p[0]);
}

void edit_put(struct edit_file *f, const char *prefix, struct str line)
{
	buf_add_cstr(&f->out, prefix);
	buf_add_str(&f->out, line);
	buf_add_char(&f->out, '\n');
}

void edit_split(const char *request, struct str *name_r, struct str *value_r)
{
	struct str whole = str_of(request);
	ptrdiff_t equals = str_find(whole, '=');
	struct str name =
	    str_trim(str_slice(whole, 0, equals < 0 ? whole.len : (size_t)equals));
	if (equals == 0)
		fatal("missing attribute name: \"%s\"", request);
	if (equals < 0 || str_find_any(name, " \t") >= 0)
		fatal("missing '=' after attribute name: \"%s\"", request);
	*name_r = name;
	*value_r = str_trim(str_skip(whole, (size_t)equals + 1));
}

static void check_requests(enum edit_kind kind, char **requests, size_t count)
{
	if (count == 0)
		fatal("%s",
		    kind == EDIT_SET ? "-e requires name=value argument"
				     : "missing service argument");
	for (size_t i = 0; i < count; i++) {
		if (strchr(requests[i], '\n') != NULL)
			fatal("-e, -X, or -# accepts no multi-line input");
		if (requests[i][strspn(requests[i], " \t")] == '#')
			fatal("-e, -X, or -# accepts no comment input");
	}
}

void edit_run(
    int mode, enum edit_kind kind, const char *directory, char **requests, size_t count)
{
	struct edit_file f;
	check_requests(kind, requests, count);
	edit_open(&f, directory, mode == 'p' ? "main.cf" : "master.cf");
	if (mode == 'p')
		edit_parameters(&f, kind, requests, count);
	else if (mode == 'M')
		edit_whole_rows(&f, kind, requests, count);
	else
		edit_in_rows(&f, mode, kind, requests, count);
	edit_commit(&f);
}
