/* Items of aliases and .forward files. */
#include "base/buf.h"
#include "mail/alias_text.h"
#include "unit.h"

static bool collect(void *context, enum alias_kind kind, struct str text)
{
	buf_printf(context, "%c<%.*s>", "ACFIL"[kind], STR_ARG(text));
	return true;
}

static const struct {
	const char *text, *items;
} values[] = {
    {"alice, bob", "A<alice>A<bob>"},
    {"\"|/bin/x a, 'b' \\\"c\\\"\", /tmp/f", "C</bin/x a, 'b' \"c\">F</tmp/f>"},
    {"|unquoted", "C<unquoted>"},
    {":include:/etc/list,x", "I</etc/list>A<x>"},
    {"\":include:/etc/a list\"", "I</etc/a list>"},
    {"\\alice, b", "A<alice>A<b>"},
    {"\\\\alice", "A<\\alice>"},
    {"\"Alice A, B\" <bob>, c (d, e)", "A<bob>A<c>"},
    {"\"x y\"@other.test", "A<x y@other.test>"},
    {"~/mbox, ../x, ~bob", "F<~/mbox>A<../x>F<~bob>"},
    {"\"|unclosed", "C<unclosed>"},
    {" , ", ""},
    {"a b@c.test", "A<a>A<b@c.test>"},
    /* blanks around specials; '>' without '<' */
    {"|tr a-z A-Z >/x", "C<tra-zA-Z>F</x>"},
    {"| cat", "C<cat>"},
    {"\"| cat\"", "C< cat>"},
    {"|\"a b\" c", "C<a b>A<c>"},
    {"x || y", "A<x||y>"},
    {"a ! b % c", "A<a!b%c>"},
    {"|", "C<>"},
    {": include : /x y", "I</x>A<y>"},
    {":include:", "I<>"},
    {"a, b>c", "A<a, b>A<c>"},
    {"a<b<c>d>e", "A<c>d>A<e>"},
    {"x <a", "A<x <a>"},
    {"<a b>", "A<ab>"},
    {"<(c)>, <\"\">, \"\", @", "A<>A<>A<>"},
    {"a\\,b [c] d)e", "A<a,b>A<[c]>A<d)e>"},
    /* groups, and routes */
    {"a:b, c", "A<a:b>A<c>"},
    {"z, g:a, b;c", "A<z>A<a>A<b>A<c>"},
    {"x; a: b;", "A<b>"},
    {"a: b <c@d>", "A<a>A<c@d>"},
    {"<@x,@y:z@z>, @x:z, <z@x:b>", "A<z@z>A<z>A<z@x:b>"},
    {"\"a\nb\" \"c\x01\"@d", "A<a b>A<c?@d>"},
};

TEST(an_alias_has_addresses_commands_files_and_lists)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
		assert_true(alias_text_walk(str_of(values[i].text), collect, &out));
		assert_string_equal(buf_cstr(&out), values[i].items);
	}
}

TEST(a_file_has_comments_and_lines_of_its_own)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct str text = STR("# no, this\n  a, \"|x\n y\"\n\n#z\nb");
	assert_true(alias_text_walk_file(text, 100, collect, &out));
	assert_string_equal(buf_cstr(&out), "A<a>C<x >A<y>A< >A<b>");
}

static const struct {
	const char *text, *tidy;
} tidied[] = {
    {"|tr a-z A-Z >/x", "|tr a-z A-Z>/x"},
    {"\\root,\\\\root", "root, \"\\\\root\""},
    {"a<b>c (d)e", "a <b>c (d) e"},
    {"a,<b>", "a, <b>"},
    {"x\"a\" | b", "x \"a\"|b"},
    {"\"a", "\"a\""},
    {"a@[b", "a@[b]"},
    {":include: /x", ":include:/x"},
};

TEST(postalias_keeps_a_tidied_text)
{
	for (size_t i = 0; i < ARRAY_SIZE(tidied); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
		alias_text_tidy(&out, str_of(tidied[i].text));
		assert_string_equal(buf_cstr(&out), tidied[i].tidy);
	}
}

TEST(what_is_too_long_is_told)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(200000), out = BUF_INIT(200000);
	buf_add_fill(&text, 'x', 3000);
	assert_true(alias_text_walk(buf_str(&text), collect, &out));
	assert_true(str_starts(buf_str(&out), STR("L<xxx")));
	buf_clear(&out);
	buf_clear(&text);
	buf_add_cstr(&text, "\"|");
	buf_add_fill(&text, 'x', 3000);
	assert_true(alias_text_walk(buf_str(&text), collect, &out));
	assert_int_equal(out.len, 3003);
}
