#include "ipc/message_sample.h"

#include "unit.h"

static void write_sample(struct buf *out)
{
	struct sample_item items[] = {{STR("a"), 1}, {STR("b"), 2}};
	struct sample_group groups[] = {{9, items, 2}, {8, NULL, 0}};
	const struct sample m = {
	    .small = 1,
	    .port = 25,
	    .flags = 0xdeadbeef,
	    .size = UINT64_MAX,
	    .offset = -2,
	    .last = true,
	    .name = STR("queue \xc3\xa9"),
	    .content = {"\0\n\xff", 3},
	    .groups = groups,
	    .groups_count = 2,
	};
	sample_write(out, &m);
}

TEST(a_message_of_all_kinds_of_fields_comes_back)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	write_sample(&out);
	assert_true(buf_ok(&out));
	struct sample m;
	assert_true(sample_read(buf_str(&out), arena, &m));
	assert_int_equal(m.small, 1);
	assert_int_equal(m.port, 25);
	assert_int_equal(m.flags, 0xdeadbeef);
	assert_true(m.size == UINT64_MAX);
	assert_true(m.offset == -2);
	assert_true(m.last);
	assert_str(m.name, "queue \xc3\xa9");
	assert_int_equal(m.content.len, 3);
	assert_int_equal(m.groups_count, 2);
	assert_int_equal(m.groups[0].items_count, 2);
	assert_str(m.groups[0].items[1].key, "b");
	assert_int_equal(m.groups[0].items[1].value, 2);
	assert_int_equal(m.groups[1].items_count, 0);
	assert_int_equal(sample_type, 3);
	assert_int_equal(sample_retry, IPC_SAFE);
	assert_true(sample_check(buf_str(&out)));
}

TEST(a_message_prints_in_one_line)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct sample m;
	write_sample(&out);
	assert_true(sample_read(buf_str(&out), arena, &m));
	sample_print(&text, &m);
	assert_str(buf_str(&text),
	    "small=1 port=25 flags=3735928559 size=18446744073709551615 offset=-2 last=1 "
	    "name=\"queue \\xc3\\xa9\" content=\"\\x00\\x0a\\xff\" "
	    "groups=2{rank=9 items=2{key=\"a\" value=1}{key=\"b\" value=2}}{rank=8 items=0}");
}

TEST(a_message_cut_anywhere_or_followed_by_a_byte_is_refused)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct sample m;
	write_sample(&out);
	for (size_t len = 0; len < out.len; len++)
		assert_false(sample_read((struct str){out.p, len}, arena, &m));
	buf_add_char(&out, 0);
	assert_false(sample_read(buf_str(&out), arena, &m));
}

TEST(texts_are_bounded_and_free_of_control_bytes)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool good;
	} rows[] = {
	    {"\x0a\0\0\0"
	     "0123456789"
	     "\x01\0",
		16, true},
	    {"\x0b\0\0\0"
	     "0123456789a"
	     "\x01\0",
		17, false},
	    {"\x01\0\0\0"
	     "\n"
	     "\x01\0",
		7, false},
	    {"\x01\0\0\0"
	     "\x7f"
	     "\x01\0",
		7, false},
	    {"\x01\0\0\0"
	     "\0"
	     "\x01\0",
		7, false},
	    {"\xff\xff\xff\xff"
	     "a"
	     "\x01\0",
		7, false},
	};
	struct sample_item item;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(
		    sample_item_read(
			(struct str){rows[i].bytes, rows[i].len}, NULL, &item),
		    rows[i].good);
}

TEST(a_truth_value_is_0_or_1)
{
	bool v;
	struct str two = STR("\x02");
	assert_false(ipc_get_bool(&two, &v));
	struct str one = STR("\x01");
	assert_true(ipc_get_bool(&one, &v));
	assert_true(v);
}

TEST(a_list_count_that_the_payload_cannot_hold_takes_no_memory)
{
	struct arena *arena = arena_new(1u << 20);
	/* 20000 items are promised, a few bytes are there. */
	struct str payload = {"\x01\x20\x4e\0\0\0\0\0\0\0\0", 11};
	struct sample_group g;
	assert_false(sample_group_read(payload, arena, &g));
	assert_int_equal(arena_used(arena), 0);
	arena_free(arena);
}

TEST(a_list_larger_than_the_arena_is_refused)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(64);
	CLEANUP(buf_free) struct buf out = BUF_INIT(100000);
	ipc_put_u8(&out, 1);
	ipc_put_u32(&out, 1000);
	buf_add_fill(&out, 0, (size_t)sample_item_least * 1000);
	struct sample_group g;
	assert_false(sample_group_read(buf_str(&out), arena, &g));
	CLEANUP(arena_free_cleanup) struct arena *large = arena_new(1u << 20);
	assert_true(sample_group_read(buf_str(&out), large, &g));
	assert_int_equal(g.items_count, 1000);
}

TEST(a_text_longer_than_its_field_shows_as_overflow_when_written)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct sample_item item = {STR("eleven byte"), 1};
	sample_item_write(&out, &item);
	assert_false(buf_ok(&out));
}
