#include "mail/address.h"

#include "unit.h"

/* Rows of the tables "MAIL forms" and "rcpt forms" as a Postfix server answered them; the
 * expected value is the address in internal form, NULL a syntax error. */
struct path_row {
	const char *text;
	const char *internal;
	const char *rest;
};

static const struct path_row mail_forms[] = {
    {" <s@a.test>", "s@a.test", ""},
    {"s@a.test", "s@a.test", ""},
    {"<s@a.test", NULL, NULL},
    {"s@a.test>", "s@a.test", ""},
    {"<>", "", ""},
    {" <>", "", ""},
    {"<<s@a.test>>", "s@a.test", ""},
    {"<s>", "s", ""},
    {"<s@[127.0.0.1]>", "s@[127.0.0.1]", ""},
    {"<s@[1.2.3]>", NULL, NULL},
    {"<@a.test,@b.test:s@c.test>", "s@c.test", ""},
    {"<\"a b\"@a.test>", "a b@a.test", ""},
    {"<a b@a.test>", NULL, NULL},
    {"<s@a..test>", NULL, NULL},
    {"<s@.test>", NULL, NULL},
    {"<s@>", NULL, NULL},
    {"<@a.test>", "@a.test", ""},
    {"<s@a_b.test>", "s@a_b.test", ""},
    {"<.s.@a.test>", ".s.@a.test", ""},
    {"Name <s@a.test>", "Name", "<s@a.test>"},
    {"<s@a.test> (comment)", "s@a.test", "(comment)"},
    {"<s@a.test> FOO=bar", "s@a.test", "FOO=bar"},
    {"<s@a.test>   SIZE=1  BODY=7BIT ", "s@a.test", "SIZE=1  BODY=7BIT"},
    {"<s\xc3\xa9@a.test>", "s\xc3\xa9@a.test", ""},
    {"<s\xe9@a.test>", NULL, NULL},
    {"", NULL, NULL},
    {"   ", NULL, NULL},
};

static const struct path_row rcpt_forms[] = {
    {"<>", NULL, NULL},
    {"<alice>", "alice", ""},
    {"alice@lab.test", "alice@lab.test", ""},
    {"<alice@lab.test", NULL, NULL},
    {"<alice%elsewhere.example@lab.test>", "alice%elsewhere.example@lab.test", ""},
    {"<elsewhere.example!alice>", "elsewhere.example!alice", ""},
    {"<@lab.test:x@elsewhere.example>", "x@elsewhere.example", ""},
    {"<\"alice\"@lab.test>", "alice@lab.test", ""},
    {"<\"a\\\"b\"@lab.test>", "a\"b@lab.test", ""},
    {"<\"al ice\"@lab.test>", "al ice@lab.test", ""},
    {"<al ice@lab.test>", NULL, NULL},
    {"<\"alice@elsewhere.example\"@lab.test>", "alice@elsewhere.example@lab.test", ""},
    {"<alice+ext@lab.test>", "alice+ext@lab.test", ""},
    {"<ALICE@LAB.TEST>", "ALICE@LAB.TEST", ""},
    {"<alice@LAB.test.>", "alice@LAB.test.", ""},
    {"<alice@lab..test>", NULL, NULL},
    {"<-alice@lab.test>", "-alice@lab.test", ""}, /* refused by the recipient's rules */
    {"<alice@[1.2.3.4]>", "alice@[1.2.3.4]", ""},
    {"<alice@[IPv6:::1]>", "alice@[IPv6:::1]", ""},
    {"<alice@[IPv6:zz]>", NULL, NULL},
    {"<alice@1.2.3.4>", NULL, NULL},
    {"<alice@[127.0.0.1>", "alice@[127.0.0.1]", ""},
    {"<alice@lab.test> NOTIFY=NEVER", "alice@lab.test", "NOTIFY=NEVER"},
    {"<@lab.test>", "@lab.test", ""},
    {"<alice@@lab.test>", NULL, NULL},
    {"<\"\"@lab.test>", "@lab.test", ""},
    {"<alice,bob@lab.test>", NULL, NULL},
    {"<alice>,<bob>", NULL, NULL},
    {"<alice@lab.test>x", NULL, NULL},
    {"<x@\xc3\xa9.test>", "x@\xc3\xa9.test", ""},
};

/* Seen from a Postfix server too, beyond the tables. */
static const struct path_row more_forms[] = {
    {"<s(c)@a.test>", "s@a.test", ""},
    {"<a\\ b@c.test>", "a b@c.test", ""},
    {"<a@b@c.test>", "a@b@c.test", ""},
    {"<s@a.test>>", "s@a.test", ""},
    {"<<s@a.test>", NULL, NULL},
    {"<s@-a.test>", NULL, NULL},
    {"<s@a.test..>", NULL, NULL},
    {"<s@123>", NULL, NULL},
    {"<s@[::1]>", NULL, NULL},
    {"<s@[IPv6:::1]x>", NULL, NULL},
    {"<s@a#b>", NULL, NULL},
    {"<\"s@a.test>", NULL, NULL},
    {"<s\"x\"t@a.test>", NULL, NULL},
    {"\"a b\"@c.test SIZE=1", "a b@c.test", "SIZE=1"},
    {"<\"<a>\"@c.test>", "<a>@c.test", ""},
    {"< s @ a.test >", "s@a.test", ""},
    {"<s@a.test>SIZE=1", NULL, NULL},
    {"<\"\">", NULL, NULL},
    {"<(c)>", NULL, NULL},
    {"<s\x01@a.test>", NULL, NULL},
    {">", NULL, NULL},
    {"\"", NULL, NULL},
    {"\\", "\\", ""},
};

static void check_paths(const struct path_row *rows, size_t count, bool null_ok)
{
	CLEANUP(buf_free) struct buf internal = BUF_INIT(ADDRESS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct address_path_rules rules = {.null_ok = null_ok, .utf8_ok = true};
		struct str rest = STR_EMPTY;
		bool ok =
		    address_path_parse(str_of(rows[i].text), rules, &internal, &rest);
		if (ok != (rows[i].internal != NULL))
			fail_msg(
			    "path %s: %s", rows[i].text, ok ? "accepted" : "refused");
		if (!ok)
			continue;
		assert_str(buf_str(&internal), rows[i].internal);
		assert_str(rest, rows[i].rest);
	}
}

TEST(the_path_of_mail_from_is_read_as_postfix_reads_it)
{
	check_paths(mail_forms, ARRAY_SIZE(mail_forms), true);
}

TEST(the_path_of_rcpt_to_is_read_as_postfix_reads_it)
{
	check_paths(rcpt_forms, ARRAY_SIZE(rcpt_forms), false);
}

TEST(odd_paths_are_read_or_refused_as_seen)
{
	check_paths(more_forms, ARRAY_SIZE(more_forms), true);
}

TEST(a_strict_path_needs_its_brackets)
{
	CLEANUP(buf_free) struct buf internal = BUF_INIT(ADDRESS_MAX);
	struct address_path_rules rules = {.strict = true};
	struct str rest;
	assert_false(address_path_parse(STR("s@a.test"), rules, &internal, &rest));
	assert_false(address_path_parse(STR("s@a.test>"), rules, &internal, &rest));
	assert_true(address_path_parse(STR(" <s@a.test>"), rules, &internal, &rest));
}

TEST(a_path_may_be_long_but_not_longer_than_address_max)
{
	CLEANUP(buf_free) struct buf internal = BUF_INIT(ADDRESS_MAX);
	CLEANUP(buf_free) struct buf path = BUF_INIT(8192);
	struct str rest;
	struct address_path_rules rules = {0};
	for (size_t len = 1000; len <= 2100; len += 1100) {
		buf_clear(&path);
		buf_add_char(&path, '<');
		buf_add_fill(&path, 'a', len);
		buf_add_cstr(&path, "@a.test>");
		assert_int_equal(
		    address_path_parse(buf_str(&path), rules, &internal, &rest),
		    len == 1000);
	}
}

TEST(a_nul_in_a_path_is_a_syntax_error)
{
	CLEANUP(buf_free) struct buf internal = BUF_INIT(ADDRESS_MAX);
	struct str rest;
	struct address_path_rules rules = {0};
	assert_false(address_path_parse(STR("<s\0@a.test>"), rules, &internal, &rest));
}

TEST(quoting_and_unquoting_are_inverse)
{
	static const struct {
		const char *internal, *external;
	} rows[] = {
	    {"a@b.test", "a@b.test"},
	    {"a b@b.test", "\"a b\"@b.test"},
	    {"a\"b@b.test", "\"a\\\"b\"@b.test"},
	    {"a\\b@b.test", "\"a\\\\b\"@b.test"},
	    {"a@b@c.test", "\"a@b\"@c.test"},
	    {"@lab.test", "\"\"@lab.test"},
	    {".s.@lab.test", "\".s.\"@lab.test"},
	    {"a..b@lab.test", "\"a..b\"@lab.test"},
	    {"<a>@lab.test", "\"<a>\"@lab.test"},
	    {"\xc3\xa9@lab.test", "\xc3\xa9@lab.test"},
	    {"a@[127.0.0.1]", "a@[127.0.0.1]"},
	    {"a b", "\"a b\""},
	    {"alice", "alice"},
	    {"", ""},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(ADDRESS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		address_quote(&out, str_of(rows[i].internal));
		assert_str(buf_str(&out), rows[i].external);
		buf_clear(&out);
		address_unquote(&out, str_of(rows[i].external));
		assert_str(buf_str(&out), rows[i].internal);
	}
}

TEST(unquoting_takes_anything)
{
	static const char *const rows[][2] = {
	    {"\"a\"@b\"", "a@b\""},
	    {"\"unclosed@b", "unclosed@b"},
	    {"a\\", "a\\"},
	    {"\"\"", ""},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(ADDRESS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		address_unquote(&out, str_of(rows[i][0]));
		assert_str(buf_str(&out), rows[i][1]);
	}
}

TEST(an_address_splits_at_its_last_at)
{
	struct address_parts p = address_split(STR("a@b@c.test"));
	assert_str(p.local, "a@b");
	assert_str(p.domain, "c.test");
	assert_null(address_split(STR("alice")).domain.p);
	p = address_split(STR("alice@"));
	assert_non_null(p.domain.p);
	assert_int_equal(p.domain.len, 0);
}

TEST(an_extension_is_split_off_but_not_from_special_names)
{
	static const struct {
		const char *local, *delimiters, *base, *extension;
		bool not_special;
	} rows[] = {
	    {"user+ext", "+", "user", "ext", false},
	    {"user+a+b", "+", "user", "a+b", false},
	    {"user-a+b", "+-", "user", "a+b", false},
	    {"user+", "+", "user", "", false},
	    {"+ext", "+", "+ext", NULL, false},
	    {"user", "+", "user", NULL, false},
	    {"user+ext", "", "user+ext", NULL, false},
	    {"PostMaster", "m", "PostMaster", NULL, false},
	    {"mailer-daemon", "-", "mailer-daemon", NULL, false},
	    {"double-bounce", "-", "double-bounce", NULL, false},
	    {"owner-list", "-", "owner-list", NULL, false},
	    {"list-request", "-", "list-request", NULL, false},
	    {"owner-list+x", "+", "owner-list", "x", false},
	    {"owner-list", "-", "owner", "list", true},
	    {"list-request", "-", "list", "request", true},
	    {"mailer-daemon", "-", "mailer-daemon", NULL, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct address_extension_rules rules = {
		    rows[i].delimiters, "double-bounce", !rows[i].not_special};
		struct address_extension e =
		    address_split_extension(str_of(rows[i].local), &rules);
		assert_str(e.base, rows[i].base);
		assert_int_equal(e.extension.p != NULL, rows[i].extension != NULL);
		if (rows[i].extension != NULL)
			assert_str(e.extension, rows[i].extension);
	}
}

TEST(domain_names_are_checked_with_a_reason)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(1024);
	const char *reason = NULL;
	assert_true(address_domain_valid(STR("a-b.example.com"), false, NULL));
	assert_true(address_domain_valid(STR("localhost"), false, NULL));
	assert_true(address_domain_valid(STR("1.2.3.4.test"), false, NULL));
	assert_false(address_domain_valid(STR("1.2.3.4"), false, &reason));
	assert_string_equal(reason, "numeric name");
	assert_false(address_domain_valid(STR("\xc3\xa9.test"), false, &reason));
	assert_string_equal(reason, "invalid character");
	assert_true(address_domain_valid(STR("\xc3\xa9.test"), true, NULL));
	assert_false(address_domain_valid(STR("\xc3.test"), true, NULL));
	buf_add_fill(&name, 'a', 63);
	buf_add_cstr(&name, ".test");
	assert_true(address_domain_valid(buf_str(&name), false, NULL));
	assert_false(address_domain_valid(str_of("x"), true, NULL) == false);
	buf_clear(&name);
	buf_add_fill(&name, 'a', 64);
	assert_false(address_domain_valid(buf_str(&name), false, &reason));
	assert_string_equal(reason, "label too long");
	buf_clear(&name);
	for (int i = 0; i < 128; i++)
		buf_add_cstr(&name, "a.");
	buf_truncate(&name, 255);
	assert_true(address_domain_valid(buf_str(&name), false, NULL));
	buf_add_cstr(&name, "a");
	assert_false(address_domain_valid(buf_str(&name), false, &reason));
	assert_string_equal(reason, "name too long");
}

TEST(literals_need_the_ipv6_tag_and_only_then)
{
	struct net_address a;
	assert_true(address_literal_parse(STR("[1.2.3.4]"), &a));
	assert_true(address_literal_parse(STR("[ipv6:2001:db8::1]"), &a));
	assert_int_equal(net_address_family(&a), AF_INET6);
	assert_false(address_literal_parse(STR("[2001:db8::1]"), &a));
	assert_false(address_literal_parse(STR("[IPv6:1.2.3.4]"), &a));
	assert_false(address_literal_parse(STR("1.2.3.4"), &a));
	assert_false(address_literal_parse(STR("[]"), &a));
}

TEST(addresses_are_logged_in_the_form_that_is_asked_for)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(ADDRESS_MAX);
	address_add_log(&out, STR("a b@c.test"));
	address_log_format(false);
	address_add_log(&out, STR(" a b@c.test"));
	address_log_format(true);
	assert_str(buf_str(&out), "\"a b\"@c.test a b@c.test");
}
