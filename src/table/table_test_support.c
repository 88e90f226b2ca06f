#include "table/table_test_support.h"

#include <fcntl.h>
#include "base/file.h"
#include "base/log.h"
#include "unit.h"

void write_file(
    const char *directory, const char *name, const char *text, struct buf *path)
{
	buf_clear(path);
	buf_printf(path, "%s/%s", directory, name);
	CLEANUP(file_close)
	int fd =
	    file_open_at(AT_FDCWD, buf_cstr(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

struct table *open_file_table(const char *type, const char *text, unsigned flags)
{
	static const char *directory;
	static unsigned count;
	CLEANUP(buf_free) struct buf file = BUF_INIT(100);
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	if (directory == NULL)
		directory = unit_directory();
	buf_printf(&file, "table%u", ++count);
	write_file(directory, buf_cstr(&file), text, &path);
	buf_printf(&name, "%s:%s", type, buf_cstr(&path));
	return table_open(buf_str(&name), flags);
}

void check_lookup(struct table *t, const char *key, const char *expected)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result result = table_lookup(t, str_of(key), &value);
	if (expected == NULL) {
		assert_str(buf_str(&value), "");
		assert_int_equal(result, TABLE_ABSENT);
	} else {
		assert_str(buf_str(&value), expected);
		assert_int_equal(result, TABLE_FOUND);
	}
}

void keep_log(void)
{
	assert_int_equal(log_open(LOG_SINK_MEMORY, "test", NULL), 0);
	log_memory_clear();
}

void check_log(const char *line)
{
	if (str_find_str(log_memory(), str_of(line)) >= 0)
		return;
	assert_str(log_memory(), line); /* shows both, and fails */
}
