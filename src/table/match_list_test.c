#include "table/match_list.h"

#include "table/table_test_support.h"
#include "unit.h"

DEFINE_CLEANUP(match_list_close, struct match_list *)

static enum table_result match(
    const char *list, enum match_kind kind, unsigned flags, const char *name)
{
	CLEANUP(match_list_close_cleanup)
	struct match_list *l = match_list_open("test_list", list, kind, flags);
	return match_list_string(l, str_of(name));
}

TEST(match_list_of_strings_and_domains)
{
	static const struct {
		const char *list;
		enum match_kind kind;
		unsigned flags;
		const char *name;
		enum table_result expected;
	} cases[] = {
	    {"a, b c", MATCH_STRINGS, 0, "C", TABLE_FOUND},
	    {"a, b c", MATCH_STRINGS, 0, "d", TABLE_ABSENT},
	    {"", MATCH_STRINGS, 0, "d", TABLE_ABSENT},
	    {"example.com", MATCH_STRINGS, MATCH_PARENTS, "a.example.com", TABLE_ABSENT},
	    {"Example.com", MATCH_DOMAINS, 0, "exAMPle.com", TABLE_FOUND},
	    {"example.com", MATCH_DOMAINS, 0, "a.example.com", TABLE_ABSENT},
	    {"example.com", MATCH_DOMAINS, MATCH_PARENTS, "a.b.example.com", TABLE_FOUND},
	    {"example.com", MATCH_DOMAINS, MATCH_PARENTS, "badexample.com", TABLE_ABSENT},
	    {".example.com", MATCH_DOMAINS, 0, "a.b.example.com", TABLE_FOUND},
	    {".example.com", MATCH_DOMAINS, 0, "example.com", TABLE_ABSENT},
	    {".example.com", MATCH_DOMAINS, MATCH_PARENTS, "a.example.com", TABLE_ABSENT},
	    {"!a.example.com .example.com", MATCH_DOMAINS, 0, "a.example.com",
		TABLE_ABSENT},
	    {"!a.example.com .example.com", MATCH_DOMAINS, 0, "b.example.com",
		TABLE_FOUND},
	    {"inline:{example.com=x}", MATCH_DOMAINS, 0, "example.com", TABLE_FOUND},
	    {"inline:{example.com=x}", MATCH_DOMAINS, 0, "a.example.com", TABLE_ABSENT},
	    {"inline:{.example.com=x}", MATCH_DOMAINS, 0, "a.b.example.com", TABLE_FOUND},
	    {"inline:{example.com=x}", MATCH_DOMAINS, MATCH_PARENTS, "a.b.example.com",
		TABLE_FOUND},
	    {"!inline:{a=x} static:all", MATCH_STRINGS, 0, "a", TABLE_ABSENT},
	    {"!inline:{a=x} static:all", MATCH_STRINGS, 0, "b", TABLE_FOUND},
	    {"b fail:x a", MATCH_STRINGS, 0, "b", TABLE_FOUND},
	    {"b fail:x a", MATCH_STRINGS, 0, "a", TABLE_TRY_LATER},
	    {"b bogus:x a", MATCH_STRINGS, 0, "a", TABLE_BROKEN},
	    {"b /nonexistent/file a", MATCH_STRINGS, 0, "a", TABLE_BROKEN},
	    {"b ! a", MATCH_STRINGS, 0, "a", TABLE_BROKEN},
	    {"regexp:{{/^a/ x}}", MATCH_DOMAINS, 0, "a.b", TABLE_FOUND},
	    {"regexp:{{/^b/ x}}", MATCH_DOMAINS, 0, "a.b", TABLE_ABSENT},
	    {"a", MATCH_DOMAINS, 0, "", TABLE_ABSENT},
	    {"inline:{a=b}", MATCH_DOMAINS, 0, "", TABLE_ABSENT},
	    {"\xc3\xa4.example", MATCH_DOMAINS, 0, "\xc3\x84.example", TABLE_FOUND},
	};
	keep_log();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    match(cases[i].list, cases[i].kind, cases[i].flags, cases[i].name),
		    cases[i].expected);
	check_log("test_list: open file /nonexistent/file: No such file or directory");
}

TEST(match_list_reads_elements_from_files)
{
	CLEANUP(buf_free) struct buf inner = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf outer = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	const char *directory = unit_directory();
	write_file(directory, "inner", "c, d\n", &inner);
	buf_printf(&text, "# names\na\n  b\n%s\n", buf_cstr(&inner));
	write_file(directory, "outer", buf_cstr(&text), &outer);
	assert_int_equal(match(buf_cstr(&outer), MATCH_STRINGS, 0, "b"), TABLE_FOUND);
	assert_int_equal(match(buf_cstr(&outer), MATCH_STRINGS, 0, "d"), TABLE_FOUND);
	assert_int_equal(
	    match(buf_cstr(&outer), MATCH_STRINGS, 0, "names"), TABLE_ABSENT);
	buf_clear(&text);
	buf_printf(&text, "!%s, x, d", buf_cstr(&outer));
	assert_int_equal(match(buf_cstr(&text), MATCH_STRINGS, 0, "d"), TABLE_ABSENT);
	assert_int_equal(match(buf_cstr(&text), MATCH_STRINGS, 0, "x"), TABLE_FOUND);
}

TEST(match_list_file_that_includes_itself_is_an_error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	const char *directory = unit_directory();
	buf_printf(&text, "%s/loop\n", directory);
	write_file(directory, "loop", buf_cstr(&text), &path);
	keep_log();
	assert_int_equal(match(buf_cstr(&path), MATCH_STRINGS, 0, "a"), TABLE_BROKEN);
	check_log("too many nested files");
}

static enum table_result host(
    const char *list, unsigned flags, const char *name, const char *address)
{
	struct net_address a;
	assert_true(net_address_parse(str_of(address), 25, &a));
	CLEANUP(match_list_close_cleanup)
	struct match_list *l = match_list_open("mynetworks", list, MATCH_HOSTS, flags);
	return match_list_host(l, str_of(name), &a);
}

TEST(match_list_of_hosts_and_networks)
{
	static const char list[] =
	    "127.0.0.0/8 [::1]/128 [fe80::]/64, !10.1.2.3, 10.0.0.0/8\n"
	    "192.0.2.1 .example.com cidr:{{198.51.100.0/24 x}}";
	static const struct {
		const char *name;
		const char *address;
		enum table_result expected;
	} cases[] = {
	    {"localhost", "127.1.2.3", TABLE_FOUND},
	    {"localhost", "::1", TABLE_FOUND},
	    {"unknown", "fe80::1:2", TABLE_FOUND},
	    {"unknown", "fe80:1::1:2", TABLE_ABSENT},
	    {"unknown", "10.1.2.3", TABLE_ABSENT},
	    {"unknown", "10.1.2.4", TABLE_FOUND},
	    {"unknown", "192.0.2.1", TABLE_FOUND},
	    {"unknown", "192.0.2.2", TABLE_ABSENT},
	    {"mx.EXAMPLE.com", "192.0.2.2", TABLE_FOUND},
	    {"unknown", "198.51.100.7", TABLE_FOUND},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    host(list, 0, cases[i].name, cases[i].address), cases[i].expected);
	assert_int_equal(
	    host("inline:{10.0.0.1=x}", 0, "unknown", "10.0.0.1"), TABLE_FOUND);
	assert_int_equal(host("inline:{10.0=x}", 0, "unknown", "10.0.0.1"), TABLE_ABSENT);
}

TEST(match_list_with_a_bad_network_answers_broken)
{
	keep_log();
	assert_int_equal(host("10.0.0.1/8 127.0.0.1", 0, "x", "127.0.0.1"), TABLE_BROKEN);
	check_log("mynetworks: non-null host address bits in \"10.0.0.1/8\"");
	assert_int_equal(host("127.0.0.1 10.0.0.1/8", 0, "x", "127.0.0.1"), TABLE_FOUND);
}
