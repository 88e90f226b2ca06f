#include "queue/queue_id.h"

#include "unit.h"

TEST(short_ids_are_microseconds_and_inode_in_hex)
{
	char id[QUEUE_ID_MAX];
	queue_id_make(id, (struct timeval){1795318146, 0x6dc62}, 0x48e, false);
	assert_string_equal(id, "6DC6248E");
	queue_id_make(id, (struct timeval){1795318146, 1}, 0xabc, false);
	assert_string_equal(id, "00001ABC");
	assert_true(queue_id_has_inode(STR("6DC6248E"), 0x48e));
	assert_false(queue_id_has_inode(STR("6DC6248E"), 0x48f));
	assert_false(queue_id_has_inode(STR("6DC62048E"), 0x48e));
}

/* Seen from Postfix: 22 Nov 2026 03:54:35.817304, hashed under C. */
TEST(long_ids_are_seconds_microseconds_and_inode_in_base_52)
{
	char id[QUEUE_ID_MAX];
	uint32_t microseconds = 0;
	queue_id_make(id, (struct timeval){1795319675, 817304}, 1319, true);
	assert_string_equal(id, "4jXFZM5pFNzTr");
	assert_true(queue_id_long_microseconds(STR("4jXFZM5pFNzTr"), &microseconds));
	assert_int_equal(microseconds, 817304);
	assert_false(queue_id_long_microseconds(STR("6DC6248E"), &microseconds));
	assert_true(queue_id_has_inode(STR("4jXFZM5pFNzTr"), 1319));
	assert_false(queue_id_has_inode(STR("4jXFZM5pFNzTr"), 1320));
}

TEST(a_z_among_the_digits_of_a_long_id_is_no_mark)
{
	char id[QUEUE_ID_MAX];
	uint32_t microseconds = 0;
	/* 51 is the digit 'z' */
	queue_id_make(id, (struct timeval){1795319675, 51}, 5, true);
	assert_string_equal(id, "4jXFZM000zz5");
	assert_true(queue_id_long_microseconds(str_of(id), &microseconds));
	assert_int_equal(microseconds, 51);
	assert_true(queue_id_has_inode(str_of(id), 5));
}

TEST(only_letters_and_digits_make_an_id)
{
	assert_true(queue_id_valid(STR("6DC6248E")));
	assert_true(queue_id_valid(STR("4jXFZM5pFNzTr")));
	assert_false(queue_id_valid(STR("6DC6")));
	assert_false(queue_id_valid(STR("../etc/passwd")));
	assert_false(queue_id_valid(STR("1234.5678")));
	assert_false(queue_id_valid(STR("6DC6\0248E")));
	assert_false(queue_id_valid(
	    STR("0123456789012345678901234567890123456789012345678901234567890123")));
}

TEST(an_id_for_another_inode_keeps_its_time)
{
	char id[QUEUE_ID_MAX];
	queue_id_with_inode(id, STR("6DC6248E"), 0xABC, false);
	assert_string_equal(id, "6DC62ABC");
	queue_id_with_inode(id, STR("6DC6248E"), 0xABC, true);
	assert_string_equal(id, "6DC62ABC");
	queue_id_with_inode(id, STR("4jXFZM5pFNzTr"), 52, true);
	assert_string_equal(id, "4jXFZM5pFNz11");
	queue_id_with_inode(id, STR("4jXFZM5pFNzTr"), 0x52, false);
	assert_string_equal(id, "C789852");
}
