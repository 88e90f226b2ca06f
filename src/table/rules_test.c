/* The rule tables: results and warnings are those of postmap -q on 3.7. */
#include "base/log.h"
#include "table/table.h"
#include "table/table_test_support.h"
#include "unit.h"

struct question {
	const char *text;
	const char *key;
	const char *expected; /* NULL: absent */
	const char *warning;  /* part of it, or NULL */
};

static void check(const char *type, const struct question *q)
{
	keep_log();
	CLEANUP(table_close_cleanup)
	struct table *t = open_file_table(type, q->text, TABLE_FOLD);
	assert_null(table_error(t));
	assert_false(table_is_fixed(t));
	if (q->warning != NULL)
		check_log(q->warning);
	else
		assert_str(log_memory(), "");
	check_lookup(t, q->key, q->expected);
}

TEST(regexp_matches_as_postmap_does)
{
	static const struct question questions[] = {
	    {"/a(b)c/ x${1}y", "ABC", "xBy", NULL},
	    {"/^A/i x", "abc", NULL, NULL},
	    {"/^A/i x", "Abc", "x", NULL},
	    {"/a/iii x", "A", NULL, NULL},
	    {"/a/ii x", "A", "x", NULL},
	    {"!/^a/ no", "abc", NULL, NULL},
	    {"!/^a/ no", "xyz", "no", NULL},
	    {"/^a$/m x", "a\nb", "x", NULL},
	    {"/^a$/ x", "a\nb", NULL, NULL},
	    {"/(a)/ ${1}z $(1) $$1", "a", "az a $1", NULL},
	    {"/(a)(b)?/ [$1$2]", "a", "[a]", NULL},
	    {"/(a)(b)?/ [$1$2]", "ab", "[ab]", NULL},
	    {"/(a)/ $1$1", "$1$1a", "aa", NULL},
	    {"/\\/a/ x", "/a", "x", NULL},
	    {"|a/b| x", "a/b", "x", NULL},
	    {"/a/ x # y", "a", "x # y", NULL},
	    {"// x", "anything", "x", NULL},
	    {"/a/!/b/ x", "ac", "x", NULL},
	    {"/a/!/b/ x", "ab", NULL, NULL},
	    {"/a/!/b/i x", "aB", "x", NULL},
	    {"!/a/!/b/ x", "c", "x", NULL},
	    {"!/a/!/b/ x", "b", NULL, NULL},
	    {"/one/ 1\n/two/ 2\n/o/ 3", "two", "2", NULL},
	    {"/a/ x\n   y", "a", "x   y", NULL},
	    {"/q/ x", "a", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		check("regexp", &questions[i]);
}

TEST(regexp_if_and_endif_nest)
{
	static const char nested[] =
	    "if /a/\nIF /b/\n/./ both\nendif\n/./ only a\nENDIF\n/c/ c\nif !/c/\n/./ none\nendif\n";
	static const struct question questions[] = {
	    {nested, "ab", "both", NULL},
	    {nested, "ad", "only a", NULL},
	    {nested, "c", "c", NULL},
	    {nested, "d", "none", NULL},
	    {"if /a/\n/b/ ab", "ab", "ab", "line 1: IF has no matching ENDIF"},
	    {"if /a/\n/b/ ab", "b", NULL, "line 1: IF has no matching ENDIF"},
	    {"endif\n/a/ x", "a", "x", "line 1: ignoring ENDIF without matching IF"},
	    {"if /a\n/b/ x\nendif", "b", "x",
		"line 1: no closing regexp delimiter \"/\": skipping this rule"},
	    {"if\n/b/ x\nendif", "b", "x", "line 1: no regexp: skipping this rule"},
	    {"if /a/\n/b/ x\nendif foo", "ab", "x",
		"line 3: ignoring extra text after ENDIF"},
	    {"if /(a)/\n/b/ $1\nendif", "ab", NULL,
		"line 2: out of range replacement index \"1\": skipping this rule"},
	};
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		check("regexp", &questions[i]);
}

TEST(regexp_warns_of_rules_that_are_wrong_and_goes_on)
{
	static const struct question questions[] = {
	    {"/a/q x\n/a/ y", "a", "y",
		"unknown regexp option \"q\": skipping this rule"},
	    {"/a x\n/a/ y", "a", "y",
		"no closing regexp delimiter \"/\": skipping this rule"},
	    {"/a(/ x\n/a/ y", "a", "y", "line 1: Unmatched ( or \\("},
	    {"a x\n/a/ y", "a", "y", "line 1: ignoring unrecognized request"},
	    {"/a/ $1\n/a/ y", "a", "y",
		"out of range replacement index \"1\": skipping this rule"},
	    {"/(a)/ $x\n/a/ y", "a", "y", "non-numeric replacement index \"x\""},
	    {"/(a)/ ${1\n/a/ y", "a", "y", "truncated macro reference: \"${1\""},
	    {"!/(a)/ $1\n/a/ y", "a", "y",
		"$number found in negative match replacement text: skipping this rule"},
	    {"  /a/ x\n/a/ y", "a", "y",
		"logical line must not start with whitespace: \"  /a/ x\""},
	    {"/a/", "a", "", "no replacement text: using empty string"},
	};
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		check("regexp", &questions[i]);
}

TEST(regexp_of_trusted_data_substitutes_nothing)
{
	keep_log();
	CLEANUP(table_close_cleanup)
	struct table *t = open_file_table("regexp", "/(a)/ $1\n/a/ y\n", TABLE_TRUSTED);
	check_log("regular expression substitution is not allowed: skipping this rule");
	check_lookup(t, "a", "y");
}

TEST(regexp_inline_takes_rules_in_braces)
{
	CLEANUP(table_close_cleanup)
	struct table *t =
	    table_open(STR("regexp:{{/a(b)c/ x$1}, {if /q/} {/r/ both} {endif},}"), 0);
	check_lookup(t, "abc", "xb");
	check_lookup(t, "qr", "both");
	check_lookup(t, "r", NULL);
}

TEST(regexp_takes_any_bytes_of_a_line)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(100);
	CLEANUP(table_close_cleanup)
	struct table *t = open_file_table("regexp", "/c$/ x\n", TABLE_KEY_IS_LINE);
	assert_int_equal(table_lookup(t, (struct str){"a\0c", 3}, &value), TABLE_FOUND);
	CLEANUP(buf_free) struct buf line = BUF_INIT(100000);
	buf_add_fill(&line, 'a', 100000);
	assert_int_equal(table_lookup(t, buf_str(&line), &value), TABLE_ABSENT);
}

TEST(cidr_matches_as_postmap_does)
{
	static const char list[] = "1.2.3.0/24 x\n1.2.0.0/16 y\n::1 z\n2001:db8::/32 v6\n"
				   "[2001:db9::1] brackets\n0.0.0.0/0 any\n";
	static const struct question questions[] = {
	    {list, "1.2.3.4", "x", NULL},
	    {list, "1.2.4.4", "y", NULL},
	    {list, "::1", "z", NULL},
	    {list, "2001:DB8:1::1", "v6", NULL},
	    {list, "2001:db9::1", "brackets", NULL},
	    {list, "9.9.9.9", "any", NULL},
	    {list, "foo", NULL, NULL},
	    {list, "[::1]", NULL, NULL},
	    {list, "1.2.3", NULL, NULL},
	    {"!1.2.3.0/24 x", "1.2.3.4", NULL, NULL},
	    {"!1.2.3.0/24 x", "1.2.4.4", "x", NULL},
	    {"!1.2.3.0/24 x", "::2", NULL, NULL},
	    {"if 1.2.0.0/16\n1.2.3.4 x\nendif\n1.2.3.5 y", "1.2.3.4", "x", NULL},
	    {"if 1.2.0.0/16\n0.0.0.0/0 x\nendif\n1.3.3.5 y", "1.3.3.5", "y", NULL},
	    {"if !1.2.0.0/16\n0.0.0.0/0 x\nendif", "1.2.3.4", NULL, NULL},
	    {"if !1.2.0.0/16\n0.0.0.0/0 x\nendif", "3.4.5.6", "x", NULL},
	    {"if !1.2.0.0/16\n::/0 x\nendif", "::2", NULL, NULL},
	    {"a x\n1.2.3.4 y", "1.2.3.4", "y",
		"line 1: bad address pattern: \"a\": skipping this rule"},
	    {"001.2.3.4 x", "1.2.3.4", NULL,
		"bad address pattern: \"001.2.3.4\": skipping this rule"},
	    {"1.2.3.4/24 x", "1.2.3.4", NULL, "non-null host address bits"},
	    {"1.2.3.4/33 x", "1.2.3.4", NULL, "skipping this rule"},
	    {"1.2.3.4", "1.2.3.4", NULL, "no lookup result: skipping this rule"},
	    {"endif", "1.2.3.4", NULL, "ENDIF without matching IF"},
	};
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		check("cidr", &questions[i]);
}

TEST(cidr_inline_keeps_blanks_inside_a_result)
{
	CLEANUP(table_close_cleanup)
	struct table *t = table_open(STR("cidr:{{1.2.3.4 x}, {0.0.0.0/0 y  z }}"), 0);
	check_lookup(t, "1.2.3.4", "x");
	check_lookup(t, "1.2.3.5", "y  z");
}
