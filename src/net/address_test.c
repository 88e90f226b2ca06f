#include "net/address.h"

#include <errno.h>

#include "unit.h"

static void expect_text(const struct net_address *a, const char *expected)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(200);

	net_address_add_text(&text, a);
	assert_str(buf_str(&text), expected);
}

TEST(address_text_is_strict_and_comes_back_canonical)
{
	static const struct {
		const char *text;
		int family; /* AF_UNSPEC: refused */
		const char *shown;
	} rows[] = {
	    {"127.0.0.1", AF_INET, "127.0.0.1"},
	    {"255.255.255.255", AF_INET, "255.255.255.255"},
	    {"0.0.0.0", AF_INET, "0.0.0.0"},
	    {"::1", AF_INET6, "::1"},
	    {"::", AF_INET6, "::"},
	    {"2001:DB8:0:0:1:0:0:1", AF_INET6, "2001:db8::1:0:0:1"},
	    {"2001:db8:0:1:1:1:1:1", AF_INET6, "2001:db8:0:1:1:1:1:1"},
	    {"::ffff:192.0.2.1", AF_INET6, "192.0.2.1"},
	    {"127.1", AF_UNSPEC, NULL},
	    {"127.0.0.01", AF_UNSPEC, NULL},
	    {"127.0.0.256", AF_UNSPEC, NULL},
	    {"0x7f.0.0.1", AF_UNSPEC, NULL},
	    {" 127.0.0.1", AF_UNSPEC, NULL},
	    {"127.0.0.1 ", AF_UNSPEC, NULL},
	    {"[::1]", AF_UNSPEC, NULL},
	    {"fe80::1%lo", AF_UNSPEC, NULL},
	    {"1::2::3", AF_UNSPEC, NULL},
	    {"12345::", AF_UNSPEC, NULL},
	    {"localhost", AF_UNSPEC, NULL},
	    {"", AF_UNSPEC, NULL},
	    {"2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000:0000", AF_UNSPEC,
		NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_address a = {0};
		bool ok = net_address_parse(str_of(rows[i].text), 25, &a);
		assert_int_equal(ok, rows[i].family != AF_UNSPEC);
		assert_int_equal(net_address_family(&a), rows[i].family);
		if (!ok)
			continue;
		assert_int_equal(net_address_port(&a), 25);
		expect_text(&a, rows[i].shown);
	}
}

TEST(address_of_a_unix_socket_has_its_path)
{
	struct net_address a = {0}, b;
	char longest[109];

	assert_int_equal(net_address_unix("/run/x", &a), 0);
	assert_int_equal(net_address_family(&a), AF_UNIX);
	assert_int_equal(net_address_port(&a), 0);
	expect_text(&a, "/run/x");
	assert_true(net_address_is_loopback(&a));
	assert_false(net_address_equal_host(&a, &a));
	memset(longest, 'a', sizeof(longest));
	longest[108] = '\0';
	assert_int_equal(net_address_unix(longest, &a), -ENAMETOOLONG);
	expect_text(&a, "/run/x");
	longest[107] = '\0';
	assert_int_equal(net_address_unix(longest, &a), 0);
	expect_text(&a, longest);
	/* As the kernel gives the address of a client that never bound its socket. */
	assert_true(
	    net_address_from((struct sockaddr *)&a.storage, sizeof(sa_family_t), &b));
	expect_text(&b, "");
}

TEST(address_from_the_kernel_is_checked)
{
	struct net_address a, b = {0};

	assert_true(net_address_parse(STR("::1"), 7, &a));
	assert_true(net_address_from((struct sockaddr *)&a.storage, a.len, &b));
	assert_true(net_address_equal_host(&a, &b));
	assert_int_equal(net_address_port(&b), 7);
	assert_false(net_address_from((struct sockaddr *)&a.storage, 10, &b));
	assert_false(net_address_from((struct sockaddr *)&a.storage, 0, &b));
	a.storage.ss_family = AF_APPLETALK;
	assert_false(net_address_from((struct sockaddr *)&a.storage, a.len, &b));
}

TEST(address_mapped_into_ipv6_equals_the_plain_one)
{
	struct net_address mapped, plain;

	assert_true(net_address_parse(STR("::ffff:127.0.0.1"), 25, &mapped));
	assert_true(net_address_parse(STR("127.0.0.1"), 26, &plain));
	assert_true(net_address_equal_host(&mapped, &plain));
	assert_true(net_address_is_loopback(&mapped));
	net_address_unmap(&mapped);
	assert_int_equal(net_address_family(&mapped), AF_INET);
	assert_int_equal(net_address_port(&mapped), 25);
	net_address_set_port(&mapped, 27);
	assert_int_equal(net_address_port(&mapped), 27);
	assert_true(net_address_parse(STR("128.0.0.1"), 25, &plain));
	assert_false(net_address_equal_host(&mapped, &plain));
	assert_false(net_address_is_loopback(&plain));
	assert_true(net_address_parse(STR("::1"), 25, &plain));
	assert_true(net_address_is_loopback(&plain));
	net_address_set_port(&plain, 5);
	assert_int_equal(net_address_port(&plain), 5);
}

TEST(address_patterns_match_their_networks)
{
	static const struct {
		const char *pattern, *inside, *outside;
	} rows[] = {
	    {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
	    {"1.2.3.0/24", "1.2.3.255", "1.2.4.0"},
	    {"1.2.3.128/25", "1.2.3.128", "1.2.3.127"},
	    {"10.0.0.0/8", "::ffff:10.9.8.7", "11.0.0.0"},
	    {"0.0.0.0/0", "200.1.1.1", "::1"},
	    {"[::1]", "::1", "::2"},
	    {"[2001:db8::]/32", "2001:db8:ffff::1", "2001:db9::"},
	    {"[2001:db8::]/33", "2001:db8:7fff::1", "2001:db8:8000::"},
	    {"[::]/0", "2001:db8::", "1.2.3.4"},
	    {"[127.0.0.0]/8", "127.1.2.3", "128.0.0.0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_prefix p;
		struct net_address in, out;
		const char *error;
		assert_true(net_prefix_parse(str_of(rows[i].pattern), false, &p, &error));
		assert_true(net_address_parse(str_of(rows[i].inside), 0, &in));
		assert_true(net_address_parse(str_of(rows[i].outside), 0, &out));
		assert_true(net_prefix_match(&p, &in));
		assert_false(net_prefix_match(&p, &out));
	}
}

TEST(a_network_of_mapped_addresses_holds_nobody)
{
	static const char *const patterns[] = {
	    "[::ffff:10.0.0.0]/104", "[::ffff:10.9.8.7]", "[::ffff:0.0.0.0]/96"};
	static const char *const hosts[] = {"10.9.8.7", "::ffff:10.9.8.7", "::"};

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		struct net_prefix p;
		const char *error;
		assert_true(net_prefix_parse(str_of(patterns[i]), false, &p, &error));
		for (size_t j = 0; j < ARRAY_SIZE(hosts); j++) {
			struct net_address host;
			assert_true(net_address_parse(str_of(hosts[j]), 0, &host));
			assert_false(net_prefix_match(&p, &host));
		}
	}
}

TEST(address_patterns_that_are_wrong_say_why)
{
	static const struct {
		const char *pattern, *error;
	} rows[] = {
	    {"1.2.3.1/24", "non-null host address bits"},
	    {"[2001:db8::1]/32", "non-null host address bits"},
	    {"1.2.3.0/33", "bad net/mask pattern"},
	    {"1.2.3.0/", "bad net/mask pattern"},
	    {"1.2.3.0/-1", "bad net/mask pattern"},
	    {"[::1]x", "bad net/mask pattern"},
	    {"[::1]/129", "bad net/mask pattern"},
	    {"::1", "IPv6 address needs [ and ] around it"},
	    {"[::1", "bad address pattern"},
	    {"1.2.3", "bad address pattern"},
	    {"", "bad address pattern"},
	    {"/8", "bad address pattern"},
	};
	struct net_prefix p = {.bits = 77};
	const char *error = "";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_false(
		    net_prefix_parse(str_of(rows[i].pattern), false, &p, &error));
		assert_string_equal(error, rows[i].error);
	}
	assert_int_equal(p.bits, 77);
	assert_true(net_prefix_parse(STR("2001:db8::/32"), true, &p, &error));
	assert_int_equal(p.bits, 32);
}

TEST(address_list_of_this_machine_holds_loopback)
{
	static struct net_prefix own[256];
	int count = net_own_addresses(own, ARRAY_SIZE(own));
	bool found = false;

	assert_true(count > 0);
	for (int i = 0; i < count; i++)
		if (net_address_family(&own[i].address) == AF_INET &&
		    net_address_is_loopback(&own[i].address))
			found = own[i].bits == 8;
	assert_true(found);
	assert_int_equal(net_own_addresses(own, 1), 1);
}

TEST(port_names_and_numbers)
{
	static const struct {
		const char *text;
		int port; /* -1: refused */
	} rows[] = {
	    {"25", 25},
	    {"65535", 65535},
	    {"smtp", 25},
	    {"lmtp", 24},
	    {"submission", 587},
	    {"submissions", 465},
	    {"smtps", 465},
	    {"0", -1},
	    {"65536", -1},
	    {"-1", -1},
	    {"", -1},
	    {"25 ", -1},
	    {"no-such-service", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint16_t port = 7;
		assert_int_equal(
		    net_port_parse(str_of(rows[i].text), &port), rows[i].port >= 0);
		assert_int_equal(port, rows[i].port >= 0 ? rows[i].port : 7);
	}
}

TEST(address_list_of_interfaces_is_read)
{
	struct net_address a[8];
	CLEANUP(buf_free) struct buf text = BUF_INIT(200);

	size_t count = net_listed_addresses(
	    STR("[::1], 192.0.2.1\tloopback-only"), a, ARRAY_SIZE(a));
	for (size_t i = 0; i < count; i++) {
		net_address_add_text(&text, &a[i]);
		buf_add_char(&text, ' ');
	}
	assert_str(buf_str(&text), "::1 192.0.2.1 127.0.0.1 ::1 ");
	assert_int_equal(net_listed_addresses(STR("1.1.1.1 1.1.1.2"), a, 1), 1);
	assert_true(net_listed_addresses(STR("all"), a, ARRAY_SIZE(a)) > 0);
	assert_int_equal(net_listed_addresses(STR_EMPTY, a, ARRAY_SIZE(a)), 0);
}
