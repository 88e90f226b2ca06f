#include "deliver/user_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

/* The report: 'W' text NUL for each warning, then 'F' path NUL content. */
#define MARK_WARNING 'W'
#define MARK_FILE    'F'
#define READ_BYTES   8192

static void PRINTF_LIKE(2, 3) warn(struct buf *report, const char *format, ...)
{
	va_list args;
	buf_add_char(report, MARK_WARNING);
	va_start(args, format);
	buf_vprintf(report, format, args);
	va_end(args);
	buf_add_char(report, '\0');
}

static bool is_good(const struct user_files *f, const char *path,
    const struct stat *status, struct buf *report)
{
	if (!S_ISREG(status->st_mode))
		warn(report, "%sfile %s is not a regular file", f->what, path);
	else if (status->st_uid != 0 && status->st_uid != f->owner)
		warn(report, "%sfile %s has bad owner uid %u", f->what, path,
		    (unsigned)status->st_uid);
	else if (status->st_mode & S_IWOTH)
		warn(report, "%sfile %s is world writable", f->what, path);
	else
		return true;
	return false;
}

static int read_all(int fd, struct buf *report)
{
	char bytes[READ_BYTES];
	ssize_t got = 0;
	while (buf_ok(report) && (got = file_read_some(fd, bytes, sizeof(bytes))) > 0)
		buf_add(report, bytes, (size_t)got);
	return buf_ok(report) ? (int)got : -EFBIG;
}

static bool add_content(const char *path, int fd, const char *what, struct buf *report)
{
	size_t before = report->len;
	buf_add_char(report, MARK_FILE);
	buf_add_cstr(report, path);
	buf_add_char(report, '\0');
	int error = read_all(fd, report);
	if (error == 0)
		return true;
	buf_truncate(report, before);
	report->overflow = false;
	warn(report, "cannot read %sfile %s: %s", what, path, strerror(-error));
	return false;
}

/* The name is looked at first, as opening a device can do something. */
static bool take_file(const struct user_files *f, const char *path, struct buf *report)
{
	struct stat status;
	if (file_stat_at(AT_FDCWD, path, &status) != 0)
		return false;
	if (!is_good(f, path, &status, report))
		return false;
	int fd = file_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
	bool taken = false;
	if (fd < 0)
		warn(report, "cannot open %sfile %s: %s", f->opened, path, strerror(-fd));
	else
		taken = fstat(fd, &status) == 0 && is_good(f, path, &status, report) &&
		    add_content(path, fd, f->what, report);
	file_close(&fd);
	return taken;
}

bool user_file_find(const struct user_files *files, struct buf *report)
{
	for (size_t i = 0; i < files->count; i++)
		if (take_file(files, files->paths[i], report))
			return true;
	return false;
}

static bool was_asked(const struct user_files *asked, struct str path)
{
	for (size_t i = 0; i < asked->count; i++)
		if (str_is(path, asked->paths[i]))
			return true;
	return false;
}

bool user_file_take(
    struct str report, const struct user_files *asked, struct user_file *file_r)
{
	*file_r = (struct user_file){.path = {NULL, 0}, .text = STR_EMPTY};
	while (report.len > 0) {
		char mark = report.p[0];
		ptrdiff_t end = str_find(report, '\0');
		if (end < 1)
			return false;
		struct str text = str_slice(report, 1, (size_t)end);
		report = str_skip(report, (size_t)end + 1);
		if (mark == MARK_FILE && was_asked(asked, text)) {
			*file_r = (struct user_file){.path = text, .text = report};
			return true;
		}
		if (mark != MARK_WARNING)
			return false;
		log_warning("%.*s", STR_ARG(text));
	}
	return true;
}
