#include "unit.h"

#include "smtp_wire/client_attribute.h"

static const struct {
	const char *arguments, *error;
	unsigned which;
	const char *value;
} xforward[] = {
    {"NAME=a.test", "", FORWARDED_NAME, "a.test"},
    {"name=a+2Etest", "", FORWARDED_NAME, "a.test"},
    {"NAME=a\tNAME=b", "", FORWARDED_NAME, "b"},
    {"NAME=[unavailable]", "", FORWARDED_NAME, "unknown"},
    {"NAME=[TEMPUNAVAIL]", "Bad NAME syntax: [TEMPUNAVAIL]", 0, ""},
    {"NAME=1.2.3.4", "Bad NAME syntax: 1.2.3.4", 0, ""},
    {"NAME=a+20b", "Bad NAME syntax: a?b", 0, ""},
    {"NAME=a+2", "Bad NAME syntax: a+2", 0, ""},
    {"NAME=caf\xc3\xa9", "Bad NAME syntax: caf\xc3\xa9", 0, ""},
    {"ADDR=1.2.3.4", "", FORWARDED_ADDR, "1.2.3.4"},
    {"ADDR=ipv6:2001:DB8:0::1", "", FORWARDED_ADDR, "2001:db8::1"},
    {"ADDR=IPv6:::ffff:1.2.3.4", "", FORWARDED_ADDR, "1.2.3.4"},
    {"ADDR=::1", "Bad ADDR syntax: ::1", 0, ""},
    {"ADDR=IPV6:1.2.3.4", "Bad ADDR syntax: IPV6:1.2.3.4", 0, ""},
    {"PORT=65535", "", FORWARDED_PORT, "65535"},
    {"PORT=123456", "Bad PORT syntax: 123456", 0, ""},
    {"PORT=-1", "Bad PORT syntax: -1", 0, ""},
    {"PROTO=[UNAVAILABLE]", "", FORWARDED_PROTO, "unknown"},
    {"HELO=a+20b+3c\xc3\xa9\xff", "", FORWARDED_HELO, "a?b?\xc3\xa9?"},
    {"HELO=a\x01+40", "", FORWARDED_HELO, "a?+40"}, /* no xtext: as it stands */
    {"HELO=[UNAVAILABLE]", "", FORWARDED_HELO, ""},
    {"SOURCE=LOCAL", "", FORWARDED_SOURCE, "local"},
    {"SOURCE=Remote", "", FORWARDED_SOURCE, "remote"},
    {"SOURCE=else", "Bad SOURCE syntax: else", 0, ""},
    {"IDENT", "Error: attribute=value expected", 0, ""},
    {"IDENT=", "Error: attribute=value expected", 0, ""},
    {"=x", "Bad XFORWARD attribute name: ", 0, ""},
    {"LOGIN=x", "Bad XFORWARD attribute name: LOGIN", 0, ""},
};

TEST(an_xforward_attribute_is_read_or_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(xforward); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
		struct client_attributes values = {.said = 0};
		bool good = client_attribute_read(&client_attribute_xforward, true,
		    str_of(xforward[i].arguments), &values, &error);
		assert_str(buf_str(&error), xforward[i].error);
		assert_int_equal(good, xforward[i].error[0] == '\0');
		assert_str(client_attribute_value(&values, xforward[i].which),
		    xforward[i].value);
		assert_int_equal(values.said, good ? 1u << xforward[i].which : 0);
	}
}

static const struct {
	const char *arguments;
	bool good;
} xclient[] = {
    {"NAME=[TEMPUNAVAIL] REVERSE_NAME=[UNAVAILABLE] LOGIN=u+40x+20y DESTPORT=25", true},
    {"PROTO=esmtp HELO=[UNAVAILABLE] DESTADDR=1.2.3.4", true},
    {"PROTO=UTF8SMTP", false},
    {"PROTO=[UNAVAILABLE]", false},
    {"ADDR=IPV6:::1", false}, /* without IPv6 */
    {"ADDR=[TEMPUNAVAIL]", false},
    {"SOURCE=LOCAL", false},
};

TEST(xclient_has_attributes_of_its_own)
{
	struct client_attributes values = {.said = 0};
	for (size_t i = 0; i < ARRAY_SIZE(xclient); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
		assert_int_equal(client_attribute_read(&client_attribute_xclient, false,
				     str_of(xclient[i].arguments), &values, &error),
		    xclient[i].good);
		assert_int_equal(error.len == 0, xclient[i].good);
	}
	assert_str(client_attribute_value(&values, XCLIENT_NAME), "unknown");
	assert_str(client_attribute_value(&values, XCLIENT_LOGIN), "u@x y");
	assert_str(client_attribute_value(&values, XCLIENT_PROTO), "ESMTP");
}

TEST(a_value_of_an_attribute_has_a_limit)
{
	for (size_t len = CLIENT_ATTRIBUTE_MAX; len <= CLIENT_ATTRIBUTE_MAX + 1; len++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1024), text = BUF_INIT(512);
		struct client_attributes values = {.said = 0};
		buf_add_cstr(&text, "HELO=");
		buf_add_fill(&text, 'h', len);
		assert_int_equal(client_attribute_read(&client_attribute_xclient, true,
				     buf_str(&text), &values, &error),
		    len <= CLIENT_ATTRIBUTE_MAX);
	}
}

TEST(ehlo_names_the_attributes)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(256);
	client_attribute_names(&client_attribute_xforward, &names);
	assert_str(buf_str(&names), " NAME ADDR PROTO HELO SOURCE PORT IDENT");
}
