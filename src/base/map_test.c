#include "base/map.h"

#include "base/siphash.h"
#include "base/buf.h"
#include "unit.h"

static struct str number_key(struct buf *b, int i)
{
	buf_clear(b);
	buf_printf(b, "key-%d", i);
	return buf_str(b);
}

TEST(map_holds_what_was_set)
{
	CLEANUP(map_free_cleanup) struct map *m = map_new();
	CLEANUP(buf_free) struct buf b = BUF_INIT(50);
	static int values[2000];

	assert_null(map_get(m, STR("x")));
	assert_null(map_remove(m, STR("x")));
	for (int i = 0; i < 2000; i++)
		assert_null(map_set(m, number_key(&b, i), &values[i]));
	assert_int_equal(map_count(m), 2000);
	for (int i = 0; i < 2000; i += 2)
		assert_ptr_equal(map_remove(m, number_key(&b, i)), &values[i]);
	for (int i = 0; i < 2000; i++)
		assert_ptr_equal(map_get(m, number_key(&b, i)),
		    i % 2 == 0 ? NULL : (void *)&values[i]);
	assert_int_equal(map_count(m), 1000);
}

TEST(map_set_replaces_and_gives_the_old_value)
{
	CLEANUP(map_free_cleanup) struct map *m = map_new();
	int one, two;

	assert_null(map_set(m, STR("a"), &one));
	assert_ptr_equal(map_set(m, STR("a"), &two), &one);
	assert_ptr_equal(map_get(m, STR("a")), &two);
	assert_int_equal(map_count(m), 1);
}

TEST(map_keys_are_bytes)
{
	CLEANUP(map_free_cleanup) struct map *m = map_new();
	int one, two, three;

	map_set(m, (struct str){"a\0b", 3}, &one);
	map_set(m, (struct str){"a\0c", 3}, &two);
	map_set(m, (struct str){NULL, 0}, &three);
	assert_ptr_equal(map_get(m, (struct str){"a\0b", 3}), &one);
	assert_ptr_equal(map_get(m, (struct str){"a\0c", 3}), &two);
	assert_ptr_equal(map_get(m, STR("")), &three);
	assert_null(map_get(m, STR("a")));
}

TEST(map_walks_in_order_of_insertion_and_allows_removal)
{
	CLEANUP(map_free_cleanup) struct map *m = map_new();
	CLEANUP(buf_free) struct buf b = BUF_INIT(50);
	struct str key;
	void *value;
	size_t at = 0;
	int values[100], seen = 0;

	for (int i = 0; i < 100; i++)
		map_set(m, number_key(&b, i), &values[i]);
	while (map_next(m, &at, &key, &value)) {
		assert_ptr_equal(value, &values[seen]);
		assert_true(str_equal(key, number_key(&b, seen)));
		seen++;
		assert_ptr_equal(map_remove(m, key), value);
	}
	assert_int_equal(seen, 100);
	assert_int_equal(map_count(m), 0);
}

TEST(map_does_not_grow_by_setting_and_removing)
{
	CLEANUP(map_free_cleanup) struct map *m = map_new();
	CLEANUP(buf_free) struct buf b = BUF_INIT(50);
	struct str key;
	void *value;
	size_t at = 0;
	int x;

	for (int i = 0; i < 10000; i++) {
		map_set(m, number_key(&b, i), &x);
		assert_ptr_equal(map_remove(m, number_key(&b, i)), &x);
	}
	map_set(m, STR("last"), &x);
	assert_true(map_next(m, &at, &key, &value));
	assert_str(key, "last");
	assert_true(at < 100);
}

/* Vectors: CPython 3.11, hash(bytes) with PYTHONHASHSEED=0, whose key is zero. */
TEST(siphash_is_siphash_1_3)
{
	const uint64_t key[2] = {0, 0};
	char counting[64];

	for (size_t i = 0; i < sizeof(counting); i++)
		counting[i] = (char)i;
	assert_true(siphash(key, STR("a")) == 0x407448d2b89b1813);
	assert_true(siphash(key, STR("abcdefgh")) == 0x3f7b849c0b8e35ea);
	assert_true(siphash(key, STR("postfix/smtpd")) == 0x6c95c41183d3557b);
	assert_true(siphash(key, (struct str){counting, 64}) == 0x75e05fd5bbc870c6);
}

TEST(siphash_depends_on_every_bit_of_key_and_text)
{
	char text[20] = {0};
	uint64_t key[2] = {1, 2};
	uint64_t plain = siphash(key, (struct str){text, 20});

	for (size_t bit = 0; bit < 160; bit++) {
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
		assert_true(siphash(key, (struct str){text, 20}) != plain);
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
	}
	for (size_t bit = 0; bit < 128; bit++) {
		key[bit / 64] ^= (uint64_t)1 << bit % 64;
		assert_true(siphash(key, (struct str){text, 20}) != plain);
		key[bit / 64] ^= (uint64_t)1 << bit % 64;
	}
	assert_true(siphash(key, (struct str){text, 19}) != plain);
	assert_true(siphash(key, (struct str){text, 20}) == plain);
}
