#include "queue/attr_list.h"

#include "unit.h"

TEST(attribute_lists_are_written_as_others_read_them)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	attr_list_add(&out, "protocol", STR("mail_queue_list_protocol"));
	attr_list_end(&out);
	assert_true(
	    str_equal(buf_str(&out), STR("protocol\0mail_queue_list_protocol\0\0")));
	buf_clear(&out);
	attr_list_add(&out, "reason", STR("a\0b\tc\n\xc3\xa9 \xff"));
	assert_true(str_equal(buf_str(&out), STR("reason\0a?b?c?\xc3\xa9 ?\0")));
}

TEST(attribute_lists_are_read_item_by_item)
{
	struct str all = STR("a\0b\0c\0\0\0d");
	struct str name = STR_EMPTY;
	struct str value = STR_EMPTY;
	assert_int_equal(attr_list_next(&all, &name, &value), ATTR_LIST_PAIR);
	assert_str(name, "a");
	assert_str(value, "b");
	assert_int_equal(attr_list_next(&all, &name, &value), ATTR_LIST_PAIR);
	assert_str(name, "c");
	assert_str(value, "");
	assert_int_equal(attr_list_next(&all, &name, &value), ATTR_LIST_END);
	assert_int_equal(attr_list_next(&all, &name, &value), ATTR_LIST_MORE);
	assert_int_equal(all.len, 1);
	struct str half = STR("name\0val");
	assert_int_equal(attr_list_next(&half, &name, &value), ATTR_LIST_MORE);
	assert_int_equal(half.len, 8);
}

TEST(an_attribute_without_end_is_given_up)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ATTR_LIST_STRING_MAX * 2);
	struct str name, value;
	buf_add(&text, "n", 2);
	buf_add_fill(&text, 'x', ATTR_LIST_STRING_MAX);
	struct str in = buf_str(&text);
	assert_int_equal(attr_list_next(&in, &name, &value), ATTR_LIST_MORE);
	buf_add_char(&text, 'x');
	in = buf_str(&text);
	assert_int_equal(attr_list_next(&in, &name, &value), ATTR_LIST_BAD);
}
