#include "mail/address_list.h"

#include "unit.h"

/* Appends "@mx" to what has no domain, and notes every address. */
static bool complete(void *context, struct str internal, struct buf *replacement)
{
	struct buf *seen = context;
	if (seen->len > 0)
		buf_add_char(seen, '|');
	buf_add_str(seen, internal);
	if (str_find(internal, '@') < 0) {
		buf_add_str(replacement, internal);
		buf_add_cstr(replacement, "@mx");
	}
	return true;
}

TEST(lists_are_walked_and_rewritten_with_all_else_kept)
{
	static const struct {
		const char *text, *seen, *out;
	} rows[] = {
	    {"bob", "bob", "bob@mx"},
	    {"a b", "a|b", "a@mx, b@mx"},
	    {"alice bob@x.test", "alice|bob@x.test", "alice@mx, bob@x.test"},
	    {"Name <bob>, carol", "bob|carol", "Name <bob@mx>, carol@mx"},
	    {"\"Q, N\" <bob>,carol (com, ment)", "bob|carol",
		"\"Q, N\" <bob@mx>,carol@mx (com, ment)"},
	    {"grp: a, b; , c", "a|b|c", "grp: a@mx, b@mx; , c@mx"},
	    {"undisclosed-recipients:;", "", "undisclosed-recipients:;"},
	    {"<@x.test,@y.test:bob@z.test>", "bob@z.test", "<bob@z.test>"},
	    {"<@x.test:bob>", "bob", "<bob@mx>"},
	    {"(c) bob (d) @ (e) x . test", "bob@x.test", "bob@x.test (c) (d) (e)"},
	    {"(c) bob (d), (e) carol@x.test", "bob|carol@x.test",
		"bob@mx (c) (d), carol@x.test (e)"},
	    {"(c) A (d) <e> (f)", "e", "(c) A (d) <e@mx>(f)"},
	    {"\"a.b\"@x.test, a\\,b@x.test", "a.b@x.test|a,b@x.test",
		"a.b@x.test, \"a,b\"@x.test"},
	    {"\"a b\"", "a b", "\"a b\"@mx"},
	    {"\"a b\"@x.test", "a b@x.test", "\"a b\"@x.test"},
	    {"a,,b", "a|b", "a@mx,,b@mx"},
	    {"a;b", "a|b", "a@mx;b@mx"},
	    {"<>", "", "<>"},
	    {"a@b.test <c>", "c", "a@b.test <c@mx>"},
	    {"<a> <c>", "a|c", "<a@mx>, <c@mx>"},
	    {"x\n <y>,\n\tw", "y|w", "x\n <y@mx>,\n\tw@mx"},
	    {"Joe.Doe <a>", "a", "Joe.Doe <a@mx>"},
	    {"=?utf-8?q?x?= <a>", "a", "=?utf-8?q?x?= <a@mx>"},
	    {"\"unclosed <a@x>", "", "\"unclosed <a@x>"},
	    {"(unclosed a", "", "(unclosed a"},
	    {"a, (c1)", "a", "a@mx, (c1)"},
	    {"\"J\\\"D\" <a>", "a", "\"J\\\"D\" <a@mx>"},
	    {"bob@[1.2.3.4]", "bob@[1.2.3.4]", "bob@[1.2.3.4]"},
	    {"<a", "", "<a"},
	    {"a\\ b", "a b", "\"a b\"@mx"},
	    {"", "", ""},
	};
	CLEANUP(buf_free) struct buf seen = BUF_INIT(4096);
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&seen);
		buf_clear(&out);
		assert_true(
		    address_list_walk(str_of(rows[i].text), 100, complete, &seen, &out));
		assert_str(buf_str(&seen), rows[i].seen);
		assert_str(buf_str(&out), rows[i].out);
	}
}

TEST(beyond_the_token_limit_a_list_is_kept_as_it_is)
{
	CLEANUP(buf_free) struct buf seen = BUF_INIT(4096);
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	assert_true(address_list_walk(STR("a,b,c,d"), 4, complete, &seen, &out));
	assert_str(buf_str(&seen), "a|b");
	assert_str(buf_str(&out), "a@mx,b@mx,c,d");
}

static bool stop_at_second(
    void *context, UNUSED struct str internal, UNUSED struct buf *replacement)
{
	int *count = context;
	return ++*count < 2;
}

TEST(a_callback_can_stop_the_walk)
{
	int count = 0;
	assert_false(
	    address_list_walk(STR("a, b, c"), 100, stop_at_second, &count, NULL));
	assert_int_equal(count, 2);
}
