#include "base/arena.h"

#include "unit.h"

TEST(arena_past_its_ceiling_stays_usable)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(100);

	assert_non_null(arena_alloc(a, 60));
	assert_null(arena_alloc(a, 60));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc_array(a, SIZE_MAX / 2, 3));
	assert_null(
	    arena_str(a, STR("this text is longer than what is left here......")).p);
	assert_null(arena_printf(a, "%50d", 1));
	assert_non_null(arena_alloc(a, 36));
	assert_null(arena_alloc(a, 1));
	assert_int_equal(arena_used(a), 96);
}

TEST(arena_may_be_used_to_its_last_byte)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(4096);

	assert_non_null(arena_alloc(a, 4096));
	assert_null(arena_alloc(a, 1));
}

TEST(arena_holds_no_more_than_its_ceiling_whatever_the_sizes)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(200000);
	size_t given = 0, before;

	do {
		before = given;
		for (size_t size = 1; size < 30000; size = size * 3 + 1)
			if (arena_alloc(a, size) != NULL)
				given += size;
	} while (given > before);
	assert_int_equal(given, arena_used(a));
	assert_true(given <= 200000);
	assert_true(given > 100000);
}

TEST(arena_memory_is_zeroed_and_aligned)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new((size_t)1 << 20);

	for (size_t size = 1; size < 5000; size += 97) {
		unsigned char *p = arena_alloc(a, size);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xAA, size);
	}
}

TEST(arena_copies_end_in_nul)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(1000);
	char original[] = "text";
	struct str copy = arena_str(a, (struct str){original, 4});
	const char *text = arena_cstr(a, (struct str){original, 2});

	original[0] = 'x';
	assert_str(copy, "text");
	assert_int_equal(copy.p[4], '\0');
	assert_string_equal(text, "te");
	assert_string_equal(arena_printf(a, "%d-%s", 5, "x"), "5-x");
	assert_str(arena_str(a, (struct str){NULL, 0}), "");
}

TEST(arena_free_takes_null)
{
	arena_free(NULL);
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(0);
	assert_null(arena_alloc(a, 0));
}

TEST(a_block_that_another_arena_used_is_zeroed)
{
	for (int round = 0; round < 3; round++) {
		CLEANUP(arena_free_cleanup) struct arena *a = arena_new((size_t)1 << 20);
		for (size_t size = 100; size <= 20000; size *= 2) {
			unsigned char *p = arena_alloc(a, size);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xAA, size);
		}
	}
}
