#include "mail/dsn.h"

#include "unit.h"

TEST(status_codes_are_found_at_the_start_of_a_text)
{
	assert_int_equal(dsn_status_at(STR("2.1.5 Ok")), 5);
	assert_int_equal(dsn_status_at(STR("4.123.456")), 9);
	assert_int_equal(dsn_status_at(STR("5.7.1\ttext")), 5);
	assert_int_equal(dsn_status_at(STR("3.1.5 Ok")), 0);
	assert_int_equal(dsn_status_at(STR("2.1.5x")), 0);
	assert_int_equal(dsn_status_at(STR("2.1.5.6")), 0);
	assert_int_equal(dsn_status_at(STR("2.1.1234")), 0);
	assert_int_equal(dsn_status_at(STR("2..1 x")), 0);
	assert_int_equal(dsn_status_at(STR("2.1")), 0);
	assert_int_equal(dsn_status_at(STR_EMPTY), 0);
	assert_true(dsn_status_valid(STR("4.4.1")));
	assert_false(dsn_status_valid(STR("4.4.1 ")));
	assert_false(dsn_status_valid(STR_EMPTY));
}

TEST(notify_values_are_read_and_written)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	uint32_t flags = 99;
	assert_true(dsn_notify_parse(STR("NEVER"), &flags));
	assert_int_equal(flags, DSN_NOTIFY_NEVER);
	assert_true(dsn_notify_parse(STR("success,DELAY,Failure"), &flags));
	assert_int_equal(flags, 14);
	dsn_notify_add(&out, flags);
	assert_str(buf_str(&out), "SUCCESS,FAILURE,DELAY");
	assert_true(dsn_notify_parse(STR("SUCCESS,SUCCESS"), &flags));
	flags = 99;
	assert_false(dsn_notify_parse(STR("NEVER,FAILURE"), &flags));
	assert_false(dsn_notify_parse(STR(""), &flags));
	assert_false(dsn_notify_parse(STR("SUCCESS,"), &flags));
	assert_false(dsn_notify_parse(STR("OFTEN"), &flags));
	assert_int_equal(flags, 99);
}

TEST(ret_values_are_read)
{
	uint32_t ret = 0;
	assert_true(dsn_ret_parse(STR("FULL"), &ret));
	assert_int_equal(ret, DSN_RET_FULL);
	assert_true(dsn_ret_parse(STR("hdrs"), &ret));
	assert_int_equal(ret, DSN_RET_HDRS);
	assert_false(dsn_ret_parse(STR("BOTH"), &ret));
}

TEST(xtext_survives_a_round_trip_and_refuses_control_bytes)
{
	CLEANUP(buf_free) struct buf wire = BUF_INIT(4096);
	CLEANUP(buf_free) struct buf back = BUF_INIT(4096);
	for (int c = 0; c < 256; c++) {
		char raw[] = {'a', (char)c, 'b'};
		buf_clear(&wire);
		buf_clear(&back);
		xtext_encode(&wire, (struct str){raw, 3});
		assert_false(str_has_control(buf_str(&wire)));
		bool ok = xtext_decode(&back, buf_str(&wire));
		assert_int_equal(ok, c >= 32 && c != 127);
		assert_int_equal(back.len, ok ? 3 : 0);
		if (ok)
			assert_memory_equal(back.p, raw, 3);
	}
	assert_false(xtext_decode(&back, STR("a+zz")));
	assert_false(xtext_decode(&back, STR("a+2")));
	assert_false(xtext_decode(&back, STR("a+")));
	assert_false(xtext_decode(&back, STR("a\nb")));
	buf_clear(&back);
	assert_true(xtext_decode(&back, STR("a+2b+2Bb")));
	assert_str(buf_str(&back), "a++b");
}

TEST(original_recipients_are_read_as_postfix_stores_them)
{
	static const struct {
		const char *text, *stored;
	} rows[] = {
	    {"rfc822;a@b", "rfc822;a@b"},
	    {"rfc822;", "rfc822;"},
	    {"rfc822;user+40host", "rfc822;user@host"},
	    {"rfc822;+C3+A9", "rfc822;\xc3\xa9"},
	    {"utf-8;a@b", "utf-8;a@b"},
	    {"utf-8;\\x{E9}x", "utf-8;\xc3\xa9x"},
	    {"utf-8;\\x{1F600}", "utf-8;\xf0\x9f\x98\x80"},
	    {"utf-8;\xc3\xa9", "utf-8;\xc3\xa9"},
	    {"utf-8;a+2Bb", "utf-8;a+2Bb"},
	    {"Rfc822;x", "Rfc822;x"},
	    {"a@b", NULL},
	    {";x", NULL},
	    {"a b;x", NULL},
	    {"rfc822;a+0Ab@c", NULL},
	    {"utf-8;\\x{A}", NULL},
	    {"utf-8;\\x{D800}", NULL},
	    {"utf-8;\\x{110000}", NULL},
	    {"utf-8;\\x{}", NULL},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1024);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		bool ok = dsn_orcpt_parse(str_of(rows[i].text), &out);
		assert_int_equal(ok, rows[i].stored != NULL);
		assert_str(buf_str(&out), ok ? rows[i].stored : "");
	}
}
