#include "mail/header.h"

#include "unit.h"

TEST(field_names_end_at_the_colon)
{
	assert_int_equal(header_name_length(STR("Subject: x")), 7);
	assert_int_equal(header_name_length(STR("Subject:")), 7);
	assert_int_equal(header_name_length(STR("Subject \t: x")), 7);
	assert_int_equal(header_name_length(STR("X-a_b!: x")), 6);
	assert_int_equal(header_name_length(STR("Sub ject: x")), 0);
	assert_int_equal(header_name_length(STR(" Subject: x")), 0);
	assert_int_equal(header_name_length(STR(": x")), 0);
	assert_int_equal(header_name_length(STR("Subject")), 0);
	assert_int_equal(header_name_length(STR("S\xc3\xa9: x")), 0);
	assert_int_equal(header_name_length(STR("")), 0);
}

TEST(every_known_name_is_found_in_any_case)
{
	static const struct {
		const char *name;
		enum header_id id;
	} rows[] = {
	    {"message-id", HEADER_MESSAGE_ID},
	    {"MIME-VERSION", HEADER_MIME_VERSION},
	    {"to", HEADER_TO},
	    {"Apparently-To", HEADER_APPARENTLY_TO},
	    {"Resent-Message-Id", HEADER_RESENT_MESSAGE_ID},
	    {"Resent-From", HEADER_RESENT_FROM},
	    {"TLS-Required", HEADER_TLS_REQUIRED},
	    {"X-Other", HEADER_OTHER},
	    {"T", HEADER_OTHER},
	    {"Too", HEADER_OTHER},
	    {"", HEADER_OTHER},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(header_find(str_of(rows[i].name))->id, rows[i].id);
}

TEST(the_table_of_names_is_complete)
{
	static const char *const names[] = {"Apparently-To", "Bcc", "Cc",
	    "Content-Description", "Content-Disposition", "Content-ID", "Content-Length",
	    "Content-Transfer-Encoding", "Content-Type", "Date", "Delivered-To",
	    "Disposition-Notification-To", "Errors-To", "From", "In-Reply-To", "Lines",
	    "Mail-Followup-To", "Message-ID", "MIME-Version", "Received", "References",
	    "Reply-To", "Resent-Bcc", "Resent-Cc", "Resent-Date", "Resent-From",
	    "Resent-Message-ID", "Resent-Reply-To", "Resent-Sender", "Resent-To",
	    "Return-Path", "Return-Receipt-To", "Sender", "Subject", "TLS-Required",
	    "To"};
	bool seen[HEADER_COUNT] = {false};
	assert_int_equal(ARRAY_SIZE(names), HEADER_COUNT - 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct header_row *row = header_find(str_of(names[i]));
		assert_str(row->name, names[i]);
		assert_false(seen[row->id]);
		seen[row->id] = true;
	}
}

TEST(classes_of_fields_are_those_of_postfix)
{
	assert_int_equal(header_find(STR("Bcc"))->flags,
	    HEADER_IS_RECIPIENT | HEADER_EXTRACT | HEADER_DROP);
	assert_int_equal(header_find(STR("Reply-To"))->flags, HEADER_IS_SENDER);
	assert_int_equal(header_find(STR("Resent-Reply-To"))->flags,
	    HEADER_IS_RECIPIENT | HEADER_IS_RESENT);
	assert_int_equal(header_find(STR("Apparently-To"))->flags, HEADER_IS_RECIPIENT);
	assert_int_equal(header_find(STR("Delivered-To"))->flags, 0);
	assert_int_equal(header_find(STR("content-type"))->flags, HEADER_IS_MIME);
	assert_int_equal(header_find(STR("content-length"))->flags, HEADER_DROP);
}

TEST(a_body_is_what_follows_the_colon)
{
	assert_str(header_body(STR("Subject:  a\n b \n")), "a\n b");
	assert_str(header_body(STR("Subject:")), "");
	assert_str(header_body(STR("none")), "");
}
