#include "conf/config_line.h"

#include "unit.h"

struct expected {
	unsigned line;
	const char *text;
};

static void check(const char *text, const struct expected *expected, size_t count)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(1000);
	struct config_lines lines;
	unsigned number = 0;
	config_lines_init(&lines, str_of(text));
	for (size_t i = 0; i < count; i++) {
		assert_true(config_lines_next(&lines, &line, &number));
		assert_str(buf_str(&line), expected[i].text);
		assert_int_equal(number, expected[i].line);
	}
	assert_false(config_lines_next(&lines, &line, &number));
}

TEST(config_line_joins_lines_that_begin_with_white_space)
{
	static const struct expected expected[] = {
	    {1, "a = b c\td"},
	    {4, "e = f"},
	};
	check("a = b\n c\n\td\ne = f", expected, 2);
}

TEST(config_line_skips_empty_lines_and_comments_even_inside_a_continued_line)
{
	static const struct expected expected[] = {
	    {3, "a =  b  c"},
	    {10, "d"},
	};
	check("# x\n\na =\n# y\n  b\n  # z\n\n \t\n  c\nd\n#end", expected, 2);
}

TEST(config_line_keeps_a_carriage_return_and_a_leading_blank_of_the_first_line)
{
	static const struct expected expected[] = {{2, "  a\r"}, {3, "b"}};
	check("\n  a\r\nb\n", expected, 2);
}

TEST(config_line_of_nothing_is_no_line)
{
	check("", NULL, 0);
	check("\n\n# only\n  \n", NULL, 0);
}

TEST(config_line_past_the_ceiling_is_noticed)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4);
	struct config_lines lines;
	unsigned number = 0;
	config_lines_init(&lines, STR("abcde\nok\n"));
	assert_true(config_lines_next(&lines, &line, &number));
	assert_false(buf_ok(&line));
	assert_true(config_lines_next(&lines, &line, &number));
	assert_true(buf_ok(&line));
	assert_str(buf_str(&line), "ok");
}
