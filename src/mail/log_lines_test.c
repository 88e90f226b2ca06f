#include "mail/log_lines.h"

#include "base/log.h"
#include "unit.h"

/* The text of the only line logged since start or log_memory_clear. */
static struct str logged(void)
{
	struct str all = log_memory();
	return str_slice(all, 0, all.len > 0 ? all.len - 1 : 0);
}

static void start(void)
{
	assert_int_equal(log_open(LOG_SINK_MEMORY, "postfix/test", NULL), 0);
	log_memory_clear();
}

static struct log_delivery sample(void)
{
	return (struct log_delivery){.queue_id = STR("6DC6248E"),
	    .recipient = STR("a b@x.test"),
	    .relay = STR("local"),
	    .delays = {30000, 0, 10000, 10000},
	    .status = STR("2.0.0"),
	    .word = "sent",
	    .text = STR("delivered to mailbox")};
}

TEST(a_delivery_is_logged_in_the_shape_that_tools_read)
{
	start();
	struct log_delivery d = sample();
	log_delivery(&d);
	assert_str(logged(),
	    "6DC6248E: to=<\"a b\"@x.test>, relay=local, delay=0.05, "
	    "delays=0.03/0/0.01/0.01, dsn=2.0.0, status=sent (delivered to mailbox)");
	log_memory_clear();
	d.original = STR("info@v.test");
	d.reused = 3;
	log_delivery(&d);
	assert_str(logged(),
	    "6DC6248E: to=<\"a b\"@x.test>, orig_to=<info@v.test>, relay=local, "
	    "conn_use=3, delay=0.05, delays=0.03/0/0.01/0.01, dsn=2.0.0, "
	    "status=sent (delivered to mailbox)");
	log_memory_clear();
	d.original = d.recipient;
	d.reused = 1;
	log_delivery(&d);
	assert_int_equal(str_find_str(logged(), STR("orig_to")), -1);
	assert_int_equal(str_find_str(logged(), STR("conn_use")), -1);
}

TEST(delays_have_two_significant_digits)
{
	static const struct {
		int64_t microseconds;
		int digits;
		const char *shown;
	} rows[] = {
	    {0, 2, "0"},
	    {-5, 2, "0"},
	    {9999, 2, "0"},
	    {10000, 2, "0.01"},
	    {14999, 2, "0.01"},
	    {15000, 2, "0.02"},
	    {99999, 2, "0.1"},
	    {123456, 2, "0.12"},
	    {999999, 2, "1"},
	    {1000000, 2, "1"},
	    {1234567, 2, "1.2"},
	    {9960000, 2, "10"},
	    {12345678, 2, "12"},
	    {99600000, 2, "100"},
	    {123456789, 2, "123"},
	    {300000000000, 2, "300000"},
	    {123456, 0, "0"},
	    {1600000, 0, "2"},
	    {1234, 6, "0.0012"},
	    {123, 6, "0.00012"},
	    {1, 6, "0.000001"},
	};
	struct log_delivery d = sample();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start();
		log_delays_digits(rows[i].digits);
		d.delays = (struct log_delays){rows[i].microseconds, 0, 0, 0};
		log_delivery(&d);
		CLEANUP(buf_free) struct buf want = BUF_INIT(100);
		buf_printf(
		    &want, " delay=%s, delays=%s/0/0/0,", rows[i].shown, rows[i].shown);
		if (str_find_str(logged(), buf_str(&want)) < 0)
			fail_msg("%s not in %.*s", buf_cstr(&want), STR_ARG(logged()));
	}
	log_delays_digits(2);
}

TEST(other_lines_of_a_message_have_their_shapes)
{
	start();
	log_queue_active(STR("Q1"), STR(""), 254, 2);
	assert_str(logged(), "Q1: from=<>, size=254, nrcpt=2 (queue active)");
	log_memory_clear();
	log_expired(STR("Q1"), STR("s@a.test"), false);
	assert_str(logged(), "Q1: from=<s@a.test>, status=expired, returned to sender");
	log_memory_clear();
	log_expired(STR("Q1"), STR("s@a.test"), true);
	assert_str(
	    logged(), "Q1: from=<s@a.test>, status=force-expired, returned to sender");
	log_memory_clear();
	log_removed(STR("Q1"));
	assert_str(logged(), "Q1: removed");
	log_memory_clear();
	log_message_id(STR("Q1"), STR("<x@y>"), false);
	assert_str(logged(), "Q1: message-id=<x@y>");
	log_memory_clear();
	log_message_id(STR("Q1"), STR("<>"), true);
	assert_str(logged(), "Q1: resent-message-id=<>");
}

TEST(rejections_name_what_is_known)
{
	start();
	struct str from = STR("s@a.test");
	struct str to = STR("t@b.test");
	struct log_reject r = {.action = "reject",
	    .where = "RCPT",
	    .client = STR("c[1.2.3.4]"),
	    .text = STR("554 5.7.1 <t@b.test>: Relay access denied"),
	    .sender = &from,
	    .recipient = &to,
	    .protocol = STR("ESMTP"),
	    .helo = STR("h.test")};
	log_reject(&r);
	assert_str(logged(),
	    "NOQUEUE: reject: RCPT from c[1.2.3.4]: 554 5.7.1 <t@b.test>: Relay "
	    "access denied; from=<s@a.test> to=<t@b.test> proto=ESMTP helo=<h.test>");
	log_memory_clear();
	r = (struct log_reject){.queue_id = STR("Q1"),
	    .action = "reject",
	    .where = "CONNECT",
	    .client = STR("c[1.2.3.4]"),
	    .text = STR("554 no"),
	    .protocol = STR("SMTP")};
	log_reject(&r);
	assert_str(logged(), "Q1: reject: CONNECT from c[1.2.3.4]: 554 no; proto=SMTP");
}

TEST(a_long_reason_keeps_the_line_whole)
{
	start();
	CLEANUP(buf_free) struct buf text = BUF_INIT(100000);
	buf_add_fill(&text, 'x', 50000);
	struct log_delivery d = sample();
	d.text = buf_str(&text);
	log_delivery(&d);
	assert_true(str_ends(logged(), STR("x)")));
}

TEST(what_a_check_did_is_said_with_the_envelope)
{
	start();
	struct log_content line = {.queue_id = STR("Q1"),
	    .action = "reject",
	    .what = "header",
	    .excerpt = STR("Subject: x"),
	    .client = STR("h[1.2.3.4]"),
	    .sender = STR("s@a"),
	    .recipient = STR("r@b"),
	    .protocol = STR("ESMTP"),
	    .helo = STR("h"),
	    .text = STR("5.7.1 no")};
	log_content(&line);
	assert_str(logged(),
	    "Q1: reject: header Subject: x from h[1.2.3.4]; from=<s@a> to=<r@b> "
	    "proto=ESMTP helo=<h>: 5.7.1 no");
	log_memory_clear();
	line.recipient = line.protocol = line.helo = line.text = STR_EMPTY;
	log_content(&line);
	assert_str(logged(), "Q1: reject: header Subject: x from h[1.2.3.4]; from=<s@a>");
}
