#include "queue/bounce_log.h"

#include "unit.h"

static const struct bounce_entry delayed = {.recipient = {"x@refused.test", 14},
    .original = {"x@refused.test", 14},
    .dsn_orcpt = {"rfc822;x@refused.test", 21},
    .offset = 1005,
    .notify = 1,
    .status = {"4.4.1", 5},
    .action = {"delayed", 7},
    .reason = {"connect to 127.0.0.1[127.0.0.1]:2599: Connection refused", 56}};

/* The bytes that Postfix left in defer/6/6DC6248E. */
static const char sample[] =
    "\n"
    "<x@refused.test>: connect to 127.0.0.1[127.0.0.1]:2599: Connection refused\n"
    "recipient=x@refused.test\n"
    "offset=1005\n"
    "dsn_orig_rcpt=rfc822;x@refused.test\n"
    "notify_flags=1\n"
    "status=4.4.1\n"
    "action=delayed\n"
    "reason=connect to 127.0.0.1[127.0.0.1]:2599: Connection refused\n"
    "\n";

TEST(an_entry_is_written_as_postfix_writes_it)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	bounce_log_write(&out, &delayed, true);
	assert_str(buf_str(&out), sample);
	buf_clear(&out);
	bounce_log_write(&out, &delayed, false);
	assert_true(str_starts(buf_str(&out), STR("\nrecipient=x@refused.test\n")));
}

TEST(entries_are_read_back_and_bad_ones_skipped)
{
	static const char text[] =
	    "\n<old@style.test>: only this line\n\n"
	    "\nrecipient=\"a b\"@c.test\noriginal_recipient=orig@c.test\noffset=x\nstatus=4.0.0\n\n"
	    "\nrecipient=\"a b\"@c.test\noriginal_recipient=orig@c.test\noffset=632\nstatus=4.3.0\n"
	    "action=delayed\ndiag_type=x-unix\ndiag_text=later \nmta_type=dns\nmta_mname=mx.test\n"
	    "later_addition=1\nreason=temporary failure. Command output: later \n\n"
	    "\nrecipient=b@c.test\nstatus=none\n\n"
	    "\nrecipient=last@c.test\nstatus=5.1.1";
	struct bounce_log_reader r;
	struct bounce_entry e;
	bounce_log_reader_init(&r, str_of(text));
	assert_true(bounce_log_next(&r, &e));
	assert_str(e.recipient, "a b@c.test");
	assert_str(e.original, "orig@c.test");
	assert_int_equal(e.offset, 632);
	assert_str(e.status, "4.3.0");
	assert_str(e.diag_type, "x-unix");
	assert_str(e.diag_text, "later ");
	assert_str(e.mta_type, "dns");
	assert_str(e.mta_name, "mx.test");
	assert_str(e.reason, "temporary failure. Command output: later ");
	assert_true(bounce_log_next(&r, &e));
	assert_str(e.recipient, "last@c.test");
	assert_int_equal(e.original.len, 0);
	assert_false(bounce_log_next(&r, &e));
	bounce_log_reader_free(&r);
}

TEST(what_a_peer_said_cannot_add_lines)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	struct bounce_entry e = delayed;
	e.reason = STR("no\n\nrecipient=evil@x\nstatus=2.0.0");
	e.recipient = STR("a\nb@c.test");
	bounce_log_write(&out, &e, true);
	struct bounce_log_reader r;
	struct bounce_entry back;
	bounce_log_reader_init(&r, buf_str(&out));
	assert_true(bounce_log_next(&r, &back));
	assert_str(back.recipient, "a?b@c.test");
	assert_str(back.status, "4.4.1");
	assert_false(bounce_log_next(&r, &back));
	bounce_log_reader_free(&r);
}

TEST(long_lines_of_an_entry_are_cut)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(100000);
	buf_add_fill(&text, 'x', 20000);
	struct bounce_entry e = delayed;
	e.reason = buf_str(&text);
	bounce_log_write(&out, &e, true);
	struct str rest = buf_str(&out);
	struct str line;
	while (str_next(&rest, "\n", &line))
		assert_true(line.len <= BOUNCE_LOG_LINE);
}
