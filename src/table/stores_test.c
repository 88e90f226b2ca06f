/* Tables in files of Postfix's own formats, pcre, and tables made of tables. */

#include "base/log.h"
#include "table/base64.h"
#include "table/driver.h"
#include "table/table.h"
#include "table/table_test_support.h"
#include "unit.h"

/* Builds TYPE:DIRECTORY/NAME and opens it. */
static struct table *built(const char *type, const char *text,
    const struct table_source *options, struct buf *name)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	static const char *directory;
	struct table_source source = *options;
	if (directory == NULL)
		directory = unit_directory();
	write_file(directory, "t", text, &path);
	source.path = buf_cstr(&path);
	source.fold = true;
	assert_true(
	    table_driver_find(str_of(type))->build(buf_str(&path), &source, &error));
	buf_clear(name);
	buf_printf(name, "%s:%s", type, buf_cstr(&path));
	return table_open(buf_str(name), TABLE_FOLD);
}

static const char *const stores[] = {"cdb", "lmdb"};

TEST(stores_answer_and_walk_with_and_without_nul)
{
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf key = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf value = BUF_INIT(1000);
		const struct table_source options = {.with_nul = i >= 2};
		CLEANUP(table_close_cleanup)
		struct table *t = built(stores[i % 2], "A  b c\nd e\n", &options, &name);
		check_lookup(t, "x", NULL);
		check_lookup(t, "a", "b c");
		check_lookup(t, "D", "e");
		check_lookup(t, "x", NULL);
		assert_int_equal(table_next(t, true, &key, &value), TABLE_FOUND);
		assert_str(buf_str(&key), "a");
		assert_str(buf_str(&value), "b c");
		assert_int_equal(table_next(t, false, &key, &value), TABLE_FOUND);
		assert_int_equal(table_next(t, false, &key, &value), TABLE_ABSENT);
	}
}

TEST(stores_see_that_they_were_replaced)
{
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		const struct table_source options = {.with_nul = false};
		CLEANUP(table_close_cleanup)
		struct table *t = built(stores[i], "a b\n", &options, &name);
		assert_false(table_changed(t));
		table_close(built(stores[i], "a c\n", &options, &name));
		assert_true(table_changed(t));
		check_lookup(t, "a", "b");
	}
}

TEST(stores_treat_doubles_as_told)
{
	static const char *const expected[] = {"b", "b", "c"};
	for (size_t i = 0; i < 6; i++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		const struct table_source options = {
		    .duplicates = (enum source_duplicates)(i / 2)};
		keep_log();
		CLEANUP(table_close_cleanup)
		struct table *t = built(stores[i % 2], "a b\na c\n", &options, &name);
		check_lookup(t, "a", expected[i / 2]);
		if (i / 2 == SOURCE_DUPLICATES_WARN)
			check_log("duplicate entry: \"a\"");
		else
			assert_str(log_memory(), "");
	}
}

TEST(lmdb_is_changed_in_the_form_that_it_has)
{
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
		const struct table_source options = {.with_nul = i == 1};
		table_close(built("lmdb", "a b\nc d\n", &options, &name));
		struct table *t = table_open(buf_str(&name), TABLE_FOLD | TABLE_UPDATE);
		assert_int_equal(table_remove(t, STR("A")), TABLE_FOUND);
		assert_int_equal(table_remove(t, STR("x")), TABLE_ABSENT);
		assert_true(table_commit(t));
		table_close(t);
		t = table_open(buf_str(&name), TABLE_FOLD);
		check_lookup(t, "a", NULL);
		check_lookup(t, "c", "d");
		table_close(t);
	}
}

TEST(a_cdb_table_is_not_changed_in_place)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1000);
	const struct table_source options = {.with_nul = false};
	table_close(built("cdb", "a b\n", &options, &name));
	CLEANUP(table_close_cleanup)
	struct table *t = table_open(buf_str(&name), TABLE_UPDATE);
	assert_non_null(table_error(t));
}

TEST(values_that_are_files_are_kept_in_base64)
{
	static const struct {
		const char *plain, *text;
	} pairs[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="}};
	static const char *const bad[] = {"Z", "Zg=", "Z===", "Zg==Zg==", "Zg=A", "Z g="};
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		buf_clear(&out);
		base64_encode(&out, str_of(pairs[i].plain));
		assert_str(buf_str(&out), pairs[i].text);
		buf_clear(&out);
		assert_true(base64_decode(&out, str_of(pairs[i].text)));
		assert_str(buf_str(&out), pairs[i].plain);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(base64_decode(&out, str_of(bad[i])));
}

TEST(pcre_matches_as_postmap_does)
{
	static const struct {
		const char *rule, *key, *expected, *warning;
	} cases[] = {
	    {"/a(b)c/ x${1}y", "ABC", "xBy", NULL},
	    {"/a(?=b)/ x", "ab", "x", NULL},
	    {"/^(?:a|b)\\d+$/ x", "b42", "x", NULL},
	    {"/^a/i x", "A", NULL, NULL},
	    {"/a.b/ x", "a\nb", "x", NULL},
	    {"/a.b/s x", "a\nb", NULL, NULL},
	    {"/a b/x x", "ab", "x", NULL},
	    {"/b/A x", "ab", NULL, NULL},
	    {"/a$/ x", "a\n", "x", NULL},
	    {"/a$/E x", "a\n", NULL, NULL},
	    {"/^(a+)/U $1", "aaa", "a", NULL},
	    {"/(a)(b)?/ [$1$2]", "a", "[a]", NULL},
	    {"!/a/ x", "b", "x", NULL},
	    {"if /a/\n/b/ x\nendif", "ab", "x", NULL},
	    {"/(/ x", "a", NULL, "error in regex at offset 1"},
	    {"/a/Z x", "a", NULL, "unknown regexp option \"Z\": skipping this rule"},
	    {"/a/!/b/ x", "a", NULL, "unknown regexp option \"!\": skipping this rule"},
	    {"/a x", "a", NULL, "no closing regexp delimiter \"/\": ignoring this rule"},
	    {"/a/ $1", "a", NULL, "out of range replacement index \"1\""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		keep_log();
		CLEANUP(table_close_cleanup)
		struct table *t = open_file_table("pcre", cases[i].rule, TABLE_FOLD);
		if (cases[i].warning != NULL)
			check_log(cases[i].warning);
		check_lookup(t, cases[i].key, cases[i].expected);
	}
}

TEST(pcre_gives_up_on_a_pattern_that_takes_too_long)
{
	CLEANUP(table_close_cleanup)
	struct table *t =
	    open_file_table("pcre", "/^(a+)+$/ first\n/./ second\n", TABLE_FOLD);
	keep_log();
	check_lookup(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "second");
	check_log("line 1: match limit exceeded");
}

static const char *error_of(const char *name)
{
	struct table *t = table_open(str_of(name), TABLE_FOLD);
	static char text[500];
	(void)snprintf(text, sizeof(text), "%s",
	    table_error(t) != NULL ? table_error(t) : "no error");
	table_close(t);
	return text;
}

TEST(tables_made_of_tables)
{
	static const struct {
		const char *table, *expected;
		bool fixed;
	} cases[] = {
	    {"unionmap:{static:x,inline:{a=z},inline:{b=1}}", "x,z", true},
	    {"unionmap:{inline:{b=1}}", NULL, true},
	    {"unionmap:{regexp:{{/a/ r}} static:x}", "r,x", false},
	    {"pipemap:{inline:{a=b},inline:{b=c}}", "c", true},
	    {"pipemap:{inline:{a=b},inline:{a=c}}", NULL, true},
	    {"randmap:{x, x}", "x", true},
	    {"randmap:{{two words}}", "two words", true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(table_close_cleanup)
		struct table *t = table_open(str_of(cases[i].table), TABLE_FOLD);
		assert_null(table_error(t));
		assert_int_equal(table_is_fixed(t), cases[i].fixed);
		check_lookup(t, "A", cases[i].expected);
	}
	assert_string_equal(error_of("unionmap:foo"),
	    "bad syntax: \"unionmap:foo\"; need \"unionmap:{type:name...}\"");
	assert_string_equal(error_of("randmap:{}"),
	    "bad syntax: \"randmap:{}\"; need \"randmap:{value...}\"");
	assert_string_equal(
	    error_of("pipemap:{bogus:x}"), "unsupported dictionary type: bogus");
}

TEST(trouble_in_a_member_is_never_absence)
{
	static const char *const tables[] = {"unionmap:{static:x,fail:y}",
	    "pipemap:{static:x,fail:y}", "unionmap:{fail:y,static:x}"};
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		CLEANUP(table_close_cleanup)
		struct table *t = table_open(str_of(tables[i]), 0);
		assert_int_equal(table_lookup(t, STR("a"), &value), TABLE_TRY_LATER);
	}
}
