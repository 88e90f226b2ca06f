#include "base/buf.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "unit.h"

TEST(buf_past_its_ceiling_changes_nothing)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(5);

	buf_add_cstr(&b, "hello");
	assert_true(buf_ok(&b));
	buf_add_char(&b, '!');
	assert_false(buf_ok(&b));
	buf_printf(&b, "%s", "x");
	buf_add_fill(&b, 'x', 1);
	assert_null(buf_reserve(&b, 1));
	assert_str(buf_str(&b), "hello");
	assert_string_equal(buf_cstr(&b), "hello");
	buf_truncate(&b, 2);
	assert_false(buf_ok(&b));
	buf_clear(&b);
	assert_true(buf_ok(&b));
	buf_printf(&b, "%05d", 7);
	assert_str(buf_str(&b), "00007");
	assert_true(buf_ok(&b));
}

TEST(buf_without_bytes_is_an_empty_string)
{
	struct buf b = BUF_INIT(0);

	assert_string_equal(buf_cstr(&b), "");
	assert_str(buf_str(&b), "");
	buf_add(&b, NULL, 0);
	buf_clear(&b);
	buf_consume(&b, 3);
	buf_truncate(&b, 3);
	assert_true(buf_ok(&b));
	buf_add_char(&b, 'a');
	assert_false(buf_ok(&b));
	buf_free(&b);
}

TEST(buf_keeps_a_nul_behind_its_bytes)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(10000);
	char *room;

	for (int i = 0; i < 300; i++) {
		buf_add_cstr(&b, "abc");
		assert_int_equal(b.p[b.len], '\0');
	}
	buf_consume(&b, 898);
	assert_string_equal(buf_cstr(&b), "bc");
	room = buf_reserve(&b, 2);
	memcpy(room, "de", 2);
	buf_advance(&b, 2);
	assert_string_equal(buf_cstr(&b), "bcde");
	buf_truncate(&b, 1);
	assert_string_equal(buf_cstr(&b), "b");
	buf_add_fill(&b, 'z', 3);
	buf_add_str(&b, STR("!"));
	assert_string_equal(buf_cstr(&b), "bzzz!");
	buf_consume(&b, 100);
	assert_string_equal(buf_cstr(&b), "");
}

TEST(buf_prints_text_longer_than_its_room)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1000);

	buf_add_cstr(&b, "x");
	buf_printf(&b, "%200d", 5);
	assert_int_equal(b.len, 201);
	assert_int_equal(b.p[200], '5');
	buf_printf(&b, "%800d", 5);
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 201);
	assert_int_equal(b.p[201], '\0');
}

TEST(buf_writes_all_integers)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(200);

	buf_add_i64(&b, INT64_MIN);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, -7);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, INT64_MAX);
	buf_add_char(&b, ' ');
	buf_add_u64(&b, UINT64_MAX);
	buf_add_char(&b, ' ');
	buf_add_u64(&b, 0);
	assert_str(buf_str(&b),
	    "-9223372036854775808 -7 9223372036854775807 18446744073709551615 0");
}

static void run_out_of_memory(void *argument)
{
	struct buf *b = argument;

	fault_set(FAULT_MALLOC, 1, false, ENOMEM);
	buf_add_char(b, 'x');
}

TEST(buf_without_memory_ends_the_process)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf b = BUF_INIT(10);
	int status = unit_in_child(run_out_of_memory, &b, &output);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_str(buf_str(&output), "fatal: out of memory: 11 bytes\n");
}
