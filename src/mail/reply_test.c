#include "mail/reply.h"

#include <errno.h>
#include "unit.h"

TEST(a_reply_of_several_lines_is_joined)
{
	struct reply r;
	reply_init(&r);
	assert_int_equal(reply_add_line(&r, STR("450-4.2.1 mailbox busy")), 1);
	assert_int_equal(reply_add_line(&r, STR("450 4.2.1 second line")), 0);
	assert_int_equal(r.code, 450);
	assert_int_equal(reply_class(&r), 4);
	assert_string_equal(r.status, "4.2.1");
	assert_str(buf_str(&r.text), "450-4.2.1 mailbox busy 450 4.2.1 second line");
	assert_str(buf_str(&r.lines), "450-4.2.1 mailbox busy\n450 4.2.1 second line");
	assert_int_equal(reply_add_line(&r, STR("250")), 0);
	assert_str(buf_str(&r.text), "250");
	assert_string_equal(r.status, "");
	reply_free(&r);
}

TEST(what_is_not_a_reply_is_refused)
{
	static const char *const rows[] = {"", "25", "abc", "25x ok", "199 x", "600 x",
	    "250x", " 250 x", "2500 x", "-50 x"};
	struct reply r;
	reply_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reply_clear(&r);
		assert_int_equal(reply_add_line(&r, str_of(rows[i])), -EBADMSG);
	}
	reply_free(&r);
}

TEST(a_status_of_another_class_than_the_code_does_not_count)
{
	struct reply r;
	reply_init(&r);
	assert_int_equal(reply_add_line(&r, STR("550 2.0.0 odd")), 0);
	assert_string_equal(r.status, "");
	reply_free(&r);
}

TEST(strange_bytes_of_a_reply_become_question_marks)
{
	struct reply r;
	reply_init(&r);
	assert_int_equal(reply_add_line(&r, STR("250 a\tb\xc3\xa9\rc")), 0);
	assert_str(buf_str(&r.text), "250 a?b???c");
	reply_free(&r);
}

TEST(an_endless_reply_is_bounded)
{
	struct reply r;
	reply_init(&r);
	int result = 1;
	int lines = 0;
	for (; result == 1; lines++)
		result =
		    reply_add_line(&r, STR("250-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
	assert_int_equal(result, -EBADMSG);
	assert_int_equal(lines, REPLY_LINES_MAX + 1);
	assert_true(r.text.len <= REPLY_TEXT_MAX);
	reply_free(&r);
}

TEST(replies_are_written_with_their_status)
{
	static const struct {
		int code;
		const char *status, *text, *out;
	} rows[] = {
	    {250, "2.1.0", "Ok", "250 2.1.0 Ok"},
	    {250, "", "mx.lab.test", "250 mx.lab.test"},
	    {550, "5.7.1", "5.7.99 coded text", "550 5.7.99 coded text"},
	    {450, "4.7.1", "5.7.99 coded text", "450 4.7.99 coded text"},
	    {550, "4.1.1", "text", "550 5.1.1 text"},
	    {250, "2.0.0", "", "250 2.0.0"},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		reply_write(&out, rows[i].code, rows[i].status, str_of(rows[i].text));
		assert_str(buf_str(&out), rows[i].out);
	}
}
