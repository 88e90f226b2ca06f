#include "base/str.h"

#include "unit.h"

TEST(str_slices_are_clamped)
{
	struct str s = STR("hello");

	assert_str(str_slice(s, 1, 3), "el");
	assert_str(str_slice(s, 3, 99), "lo");
	assert_str(str_slice(s, 4, 2), "");
	assert_str(str_skip(s, 99), "");
	assert_str(str_of(NULL), "");
	assert_str(str_skip((struct str){NULL, 0}, 1), "");
}

TEST(str_trim_takes_blanks_from_both_ends)
{
	assert_str(str_trim(STR(" \t a b\r\n")), "a b");
	assert_str(str_trim(STR(" \v\f ")), "");
}

TEST(str_compares_with_and_without_case)
{
	struct str null = {NULL, 0};

	assert_true(str_equal(null, STR("")));
	assert_false(str_equal(STR("a"), STR("A")));
	assert_true(str_equal_nocase(STR("aZ09"), STR("Az09")));
	assert_false(str_equal_nocase(STR("@"), STR("`")));
	assert_false(str_equal_nocase(STR("\xe4"), STR("\xc4")));
	assert_true(str_is(STR("x"), "x"));
	assert_true(str_is_nocase(STR("EHLO"), "ehlo"));
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_false(str_starts(STR("a"), STR("ab")));
	assert_true(str_starts_nocase(STR("ABc"), STR("ab")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("c"), STR("bc")));
	assert_true(str_ends_nocase(STR("abC"), STR("Bc")));
	assert_true(str_compare(STR("a"), STR("b")) < 0);
	assert_true(str_compare(STR("ab"), STR("a")) > 0);
	assert_true(str_compare(STR("\xff"), STR("a")) > 0);
	assert_int_equal(str_compare_nocase(STR("aB"), STR("Ab")), 0);
	assert_true(str_compare_nocase(STR("B"), STR("a")) > 0);
	assert_true(str_compare_nocase(STR("\xff"), STR("Z")) > 0);
	assert_true(str_compare_nocase(STR("a"), STR("AB")) < 0);
	assert_int_equal(str_compare(null, STR("")), 0);
}

TEST(str_finds_bytes_and_text)
{
	assert_int_equal(str_find(STR("a.b.c"), '.'), 1);
	assert_int_equal(str_find_last(STR("a.b.c"), '.'), 3);
	assert_int_equal(str_find(STR(""), '.'), -1);
	assert_int_equal(str_find_str(STR("say hello"), STR("ll")), 6);
	assert_int_equal(str_find_str(STR("say"), STR("sayx")), -1);
	assert_int_equal(str_find_str(STR(""), STR("")), 0);
	assert_int_equal(str_find_any(STR("ab:c,"), ",:"), 2);
	assert_int_equal(str_find_any((struct str){"a\0b", 3}, "xy"), -1);
}

TEST(str_next_gives_words_and_then_nothing)
{
	struct str rest = STR(" , one,,two three "), word = STR("untouched");

	assert_true(str_next(&rest, ", ", &word));
	assert_str(word, "one");
	assert_true(str_next(&rest, ", ", &word));
	assert_str(word, "two");
	assert_true(str_next(&rest, ", ", &word));
	assert_str(word, "three");
	assert_false(str_next(&rest, ", ", &word));
	assert_str(word, "three");
}

TEST(str_is_digits_wants_one_and_nothing_else)
{
	assert_true(str_is_digits(STR("00999999999999999999999")));
	assert_false(str_is_digits(STR_EMPTY));
	assert_false(str_is_digits(STR("1 ")));
	assert_false(str_is_digits(STR("-1")));
}

TEST(str_list_has_whole_words_in_any_case)
{
	assert_true(str_list_has(STR(" all,\n\tIPv6 "), "ipv6"));
	assert_false(str_list_has(STR("ipv64, pv6"), "ipv6"));
	assert_false(str_list_has(STR_EMPTY, "ipv6"));
}

TEST(str_next_braced_keeps_what_braces_hold)
{
	struct str rest = STR("a { b, {c d} } x={1 2}y } {open end"), word;

	assert_true(str_next_braced(&rest, ", ", &word));
	assert_str(word, "a");
	assert_true(str_next_braced(&rest, ", ", &word));
	assert_str(word, "{ b, {c d} }");
	assert_true(str_next_braced(&rest, ", ", &word));
	assert_str(word, "x={1 2}y");
	assert_true(str_next_braced(&rest, ", ", &word));
	assert_str(word, "}");
	assert_true(str_next_braced(&rest, ", ", &word));
	assert_str(word, "{open end");
	assert_false(str_next_braced(&rest, ", ", &word));
}

TEST(str_numbers_are_strict)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} rows[] = {
	    {"0", true, 0},
	    {"007", true, 7},
	    {"-5", true, -5},
	    {"9223372036854775807", true, INT64_MAX},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"-9223372036854775809", false, 0},
	    {"99999999999999999999", false, 0},
	    {"", false, 0},
	    {"-", false, 0},
	    {"+1", false, 0},
	    {" 1", false, 0},
	    {"1 ", false, 0},
	    {"0x1", false, 0},
	    {"--1", false, 0},
	};
	uint64_t big = 42;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t value = 42;
		assert_int_equal(str_to_i64(str_of(rows[i].text), &value), rows[i].ok);
		assert_true(value == (rows[i].ok ? rows[i].value : 42));
	}
	assert_true(str_to_u64(STR("18446744073709551615"), &big));
	assert_true(big == UINT64_MAX);
	assert_false(str_to_u64(STR("18446744073709551616"), &big));
	assert_false(str_to_u64(STR("-1"), &big));
	assert_true(big == UINT64_MAX);
}

TEST(str_range_is_inclusive)
{
	int64_t value = 42;

	assert_false(str_to_range(STR("0"), 1, 3, &value));
	assert_false(str_to_range(STR("4"), 1, 3, &value));
	assert_int_equal(value, 42);
	assert_true(str_to_range(STR("3"), 1, 3, &value));
	assert_int_equal(value, 3);
}

TEST(str_to_cstr_refuses_what_does_not_fit_and_nul)
{
	char out[4] = "xyz";

	assert_false(str_to_cstr(STR("abcd"), out, sizeof(out)));
	assert_false(str_to_cstr((struct str){"a\0b", 3}, out, sizeof(out)));
	assert_string_equal(out, "xyz");
	assert_true(str_to_cstr(STR("abc"), out, sizeof(out)));
	assert_string_equal(out, "abc");
}

TEST(str_knows_utf8_as_rfc_3629_has_it)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
	    {"plain ascii, longer than eight", true},
	    {"gr\xc3\xbc\xc3\x9f", true},
	    {"\xe2\x82\xac", true},
	    {"\xf0\x9f\x93\xa7 mail", true},
	    {"\xf4\x8f\xbf\xbf", true},
	    {"\xf4\x90\x80\x80", false},
	    {"\xf5\x80\x80\x80", false},
	    {"\xc0\xaf", false},
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\xed\xa0\x80", false},
	    {"\xed\x9f\xbf", true},
	    {"\x80", false},
	    {"12345678\xc3", false},
	    {"\xe2\x82", false},
	    {"\xe2\x28\xa1", false},
	    {"\xf0\x9f\x93z", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(str_is_utf8(str_of(rows[i].text)), rows[i].ok);
	assert_true(str_is_ascii(STR("abcdefgh\x7f")));
	assert_false(str_is_ascii(STR("abcdefg\x80h")));
	assert_true(str_has_control(STR("a\tb")));
	for (int c = 0; c < 256; c++)
		for (size_t len = 1; len < 20; len++)
			for (size_t at = 0; at < len; at++) {
				char text[20];
				memset(text, 'x', sizeof(text));
				text[at] = (char)c;
				struct str s = {text, len};
				bool is_control = c < 32 || c == 127;
				assert_int_equal(str_has_control(s), is_control);
				assert_int_equal(str_printable_length(s),
				    is_control || c > 127 ? at : len);
			}
	assert_true(str_has_control(STR("a\x7f")));
	assert_false(str_has_control(STR("a b\xc3")));
}

TEST(ascii_classes_do_not_depend_on_sign_or_locale)
{
	for (int i = 0; i < 256; i++) {
		char c = (char)i;
		bool upper = i >= 65 && i <= 90, lower = i >= 97 && i <= 122;
		bool digit = i >= 48 && i <= 57;
		assert_int_equal(ascii_is_alpha(c), upper || lower);
		assert_int_equal(ascii_is_digit(c), digit);
		assert_int_equal(ascii_is_alnum(c), upper || lower || digit);
		assert_int_equal(ascii_is_space(c), i == 32 || (i >= 9 && i <= 13));
		assert_int_equal(ascii_is_print(c), i >= 32 && i <= 126);
		assert_int_equal(ascii_lower(c), (char)(upper ? i + 32 : i));
		assert_int_equal(ascii_upper(c), (char)(lower ? i - 32 : i));
	}
}

TEST(numbers_are_written_to_a_width_or_as_long_as_they_are)
{
	char out[64];
	assert_str(((struct str){out, (size_t)(str_put_u64(out, 0, 0) - out)}), "0");
	assert_str(((struct str){out, (size_t)(str_put_u64(out, 12, 5) - out)}), "   12");
	assert_str(
	    ((struct str){out, (size_t)(str_put_u64(out, 12345, 3) - out)}), "12345");
	assert_str(((struct str){out, (size_t)(str_put_u64(out, UINT64_MAX, 0) - out)}),
	    "18446744073709551615");
}
