#include "table/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "table/table_test_support.h"
#include "unit.h"

static struct cache *opened(const char *name)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct cache *c = cache_open(str_of(name), &error);
	assert_str(buf_str(&error), "");
	assert_non_null(c);
	return c;
}

static const char *fresh(struct buf *name)
{
	static unsigned count;
	buf_printf(name, "lmdb:%s/cache%u", unit_directory(), count++);
	return buf_cstr(name);
}

static void check(struct cache *c, const char *key, const char *expected)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	enum table_result result = cache_lookup(c, str_of(key), &value);
	assert_int_equal(result, expected != NULL ? TABLE_FOUND : TABLE_ABSENT);
	if (expected != NULL)
		assert_str(buf_str(&value), expected);
}

TEST(cache_remembers_replaces_and_forgets_in_memory_and_in_a_file)
{
	for (int file = 0; file < 2; file++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		struct cache *c = opened(file ? fresh(&name) : "internal:test");
		check(c, "a", NULL);
		assert_true(cache_put(c, STR("a"), STR("1")));
		assert_true(cache_put(c, STR("a"), STR("2")));
		check(c, "a", "2");
		assert_true(cache_remove(c, STR("a")));
		assert_true(cache_remove(c, STR("a")));
		check(c, "a", NULL);
		cache_close(c);
	}
}

TEST(cache_in_memory_has_a_bound)
{
	struct cache *c = opened("internal:x");
	CLEANUP(buf_free) struct buf key = BUF_INIT(100);
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	size_t at = 0, count = 0;
	for (int i = 0; i < CACHE_MEMORY_MAX + 10; i++) {
		buf_clear(&key);
		buf_add_i64(&key, i);
		assert_true(cache_put(c, buf_str(&key), STR("v")));
	}
	check(c, buf_cstr(&key), "v");
	while (cache_next(c, &at, &key, &value) == TABLE_FOUND)
		count++;
	assert_int_equal(count, CACHE_MEMORY_MAX);
	cache_close(c);
}

TEST(cache_file_outlives_its_process_and_may_be_shared)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	struct cache *a = opened(fresh(&name));
	struct cache *b = opened(buf_cstr(&name));
	assert_true(cache_put(a, STR("x"), STR("1")));
	check(b, "x", "1");
	assert_true(cache_put(b, STR("x"), STR("2")));
	assert_true(cache_put(a, STR("y"), STR("3")));
	cache_close(a);
	check(b, "y", "3");
	cache_close(b);
	a = opened(buf_cstr(&name));
	check(a, "x", "2");
	cache_close(a);
}

TEST(cache_walk_sees_each_entry_once_while_entries_go)
{
	for (int file = 0; file < 2; file++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
		struct cache *c = opened(file ? fresh(&name) : "internal:test");
		size_t at = 0, count = 0;
		for (int i = 0; i < 100; i++) {
			char text[16];
			(void)snprintf(text, sizeof(text), "key%d", i);
			assert_true(cache_put(c, str_of(text), STR("v")));
		}
		while (cache_next(c, &at, &key, &value) == TABLE_FOUND) {
			count++;
			assert_true(cache_remove(c, buf_str(&key)));
		}
		assert_int_equal(count, 100);
		at = 0;
		buf_clear(&key);
		assert_int_equal(cache_next(c, &at, &key, &value), TABLE_ABSENT);
		cache_close(c);
	}
}

TEST(cache_refuses_a_key_that_is_too_long_or_empty)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
	struct cache *c = opened(fresh(&name));
	buf_add_fill(&key, 'k', CACHE_KEY_MAX);
	assert_true(cache_put(c, buf_str(&key), STR("v")));
	buf_add_char(&key, 'k');
	assert_false(cache_put(c, buf_str(&key), STR("v")));
	check(c, buf_cstr(&key), NULL);
	assert_false(cache_put(c, STR_EMPTY, STR("v")));
	cache_close(c);
}

/* As Postfix writes it: with NULs, by its lmdb. */
TEST(cache_reads_entries_with_a_nul_and_replaces_them)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	struct cache *c = opened(fresh(&name));
	assert_true(cache_put(c, (struct str){"k", 2}, (struct str){"v", 2}));
	check(c, "k", "v");
	assert_true(cache_put(c, STR("k"), STR("new")));
	check(c, "k", "new");
	size_t at = 0;
	assert_int_equal(cache_next(c, &at, &key, &value), TABLE_FOUND);
	assert_int_equal(cache_next(c, &at, &key, &value), TABLE_ABSENT);
	cache_close(c);
}

/* In a file that a stranger made. */
TEST(cache_walk_ends_behind_a_key_that_is_a_nul)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
	struct cache *c = opened(fresh(&name));
	assert_true(cache_put(c, (struct str){"", 1}, STR("v")));
	assert_true(cache_put(c, STR("k"), STR("v")));
	size_t at = 0;
	assert_int_equal(cache_next(c, &at, &key, &value), TABLE_FOUND);
	assert_int_equal(cache_next(c, &at, &key, &value), TABLE_FOUND);
	assert_str(buf_str(&key), "k");
	assert_int_equal(cache_next(c, &at, &key, &value), TABLE_ABSENT);
	cache_close(c);
}

static void spoil(const char *path, const char *how)
{
	int fd = file_open_at(AT_FDCWD, path, O_RDWR, 0);
	assert_true(fd >= 0);
	if (how != NULL)
		assert_int_equal(file_write_all_at(fd, how, strlen(how), 0), 0);
	assert_int_equal(ftruncate(fd, how != NULL ? (off_t)strlen(how) : 8192), 0);
	file_close(&fd);
}

TEST(cache_file_that_is_broken_is_put_aside_for_a_new_one)
{
	static const char *const ways[] = {
	    "this is no database, whatever its name says", NULL /* cut off */};
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
		struct cache *c = opened(fresh(&name));
		buf_printf(&path, "%s.lmdb", buf_cstr(&name) + 5);
		for (int at = 0; at < 1000; at++) {
			char text[16];
			(void)snprintf(text, sizeof(text), "key%d", at);
			assert_true(cache_put(c, str_of(text), STR("v")));
		}
		cache_close(c);
		spoil(buf_cstr(&path), ways[i]);
		assert_int_equal(log_open(LOG_SINK_MEMORY, "test", NULL), 0);
		c = opened(buf_cstr(&name));
		assert_true(str_find_str(log_memory(), STR("beginning a new one")) >= 0);
		check(c, "key1", NULL);
		assert_true(cache_put(c, STR("key1"), STR("again")));
		cache_close(c);
		buf_add_cstr(&path, ".broken");
		assert_int_equal(access(buf_cstr(&path), F_OK), 0);
	}
}
