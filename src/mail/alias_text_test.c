/* Items of aliases and .forward files. */
#include "base/buf.h"
#include "mail/alias_text.h"
#include "unit.h"

static bool collect(void *context, enum alias_kind kind, struct str text)
{
	buf_printf(context, "%c<%.*s>", "ACFI"[kind], STR_ARG(text));
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
    {"\"Alice A, B\" <bob>, c (d, e)", "A<bob>A<c>"},
    {"\"x y\"@other.test", "A<x y@other.test>"},
    {"~/mbox, ../x", "F<~/mbox>A<../x>"},
    {"\"|unclosed", "C<unclosed>"},
    {" , ", ""},
    {"a b@c.test", "A<a>A<b@c.test>"},
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
	assert_string_equal(buf_cstr(&out), "A<a>C<x>A<y>A<b>");
}
