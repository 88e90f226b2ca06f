#include "table/source.h"

#include "table/table_test_support.h"
#include "unit.h"

static bool collect(void *context, struct str key, struct str value, unsigned line)
{
	buf_printf(context, "%u[%.*s][%.*s]\n", line, STR_ARG(key), STR_ARG(value));
	return true;
}

static void check(
    enum source_format format, bool fold, const char *text, const char *expected)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
	struct table_source source = {.path = "m", .format = format, .fold = fold};
	assert_true(table_source_parse(&source, str_of(text), collect, &out));
	assert_str(buf_str(&out), expected);
}

TEST(source_reads_keys_and_values_as_postmap_does)
{
	keep_log();
	check(SOURCE_MAP, true,
	    "a b\n\"x y\" z  w \n\"q\\\"q\" v\nfoo\n bar\nNOVAL\n\"open x\nB  c\n# c\n"
	    "\"a\"b c\nb\tc\t \n@ x\nk: v\nin\"side v\n",
	    "1[a][b]\n2[\"x y\"][z  w]\n3[\"q\\\"q\"][v]\n4[foo][bar]\n8[b][c]\n"
	    "10[\"a\"b][c]\n11[b][c]\n12[@][x]\n13[k:][v]\n14[in\"side][v]\n");
	check_log("m, line 6: expected format: key whitespace value\n");
	check_log("m, line 7: unbalanced '\"' in '\"open x' -- ignoring this line\n");
	check_log(
	    "m, line 13: record is in \"key: value\" format; is this an alias file?\n");
}

TEST(source_keeps_the_case_of_keys_when_not_told_to_fold)
{
	check(SOURCE_MAP, false, "AbC d\n", "1[AbC][d]\n");
	check(SOURCE_MAP, true, "\xc3\x84rGer\xc3\x9f d\n", "1[\xc3\xa4rgerss][d]\n");
	check(SOURCE_MAP, true, "A\xff d\n", "1[a\xff][d]\n");
}

TEST(source_reads_alias_files_as_postalias_does)
{
	keep_log();
	check(SOURCE_ALIASES, true,
	    "Root: bob\n\"x y\": z,  w \nfoo\n : bar\nNOVAL\na:b\n\"u x: y\nb : c d\n:x\n"
	    "inc: :include:/x\nc: \"|cmd  a:b\"\nx@y: z\nd:\n\"q\\\"q\": v\ng:h i\n, j: k\n"
	    "l,m: n\nmany: a ,b,c,\n\td\n",
	    "1[root][bob]\n2[x y][z, w]\n3[foo][bar]\n6[a][b]\n8[b][c d]\n"
	    "10[inc][:include:/x]\n11[c][\"|cmd  a:b\"]\n14[q\"q][v]\n15[g][h i]\n"
	    "18[many][a, b, c, d]\n");
	check_log("m, line 5: need name:value pair\n");
	check_log("m, line 7: need name:value pair\n");
	check_log("m, line 9: need name:value pair\n");
	check_log("m, line 12: name must be local\n");
	check_log("m, line 13: need name:value pair\n");
	check_log("m, line 17: need name:value pair\n");
}

static bool stop_at_second(
    void *context, UNUSED struct str key, UNUSED struct str value, UNUSED unsigned line)
{
	return ++*(int *)context < 2;
}

TEST(source_stops_when_told_and_names_a_missing_file)
{
	int count = 0;
	struct table_source source = {.path = "/nonexistent/m"};
	assert_false(
	    table_source_parse(&source, STR("a b\nc d\ne f\n"), stop_at_second, &count));
	assert_int_equal(count, 2);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	assert_false(table_source_read(&source, stop_at_second, &count, &error));
	assert_str(buf_str(&error), "open /nonexistent/m: No such file or directory");
	source.text = STR("a b\n");
	count = 0;
	assert_true(table_source_read(&source, stop_at_second, &count, &error));
	assert_int_equal(count, 1);
}
