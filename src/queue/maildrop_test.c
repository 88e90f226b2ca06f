#include "unit.h"

#include "queue/maildrop.h"

static bool takes(struct maildrop_check *c, int type, struct str data)
{
	const char *reason = "";
	return maildrop_check_record(c, type, data, &reason);
}

TEST(maildrop_takes_what_sendmail_writes)
{
	struct maildrop_check c = {.phase = MAILDROP_ENVELOPE};
	assert_true(takes(&c, RECORD_ATTRIBUTE, STR("rewrite_context=local")));
	assert_true(takes(&c, RECORD_FULL_NAME, STR("A N")));
	assert_true(takes(&c, RECORD_SENDER, STR("alice")));
	assert_true(takes(&c, RECORD_ATTRIBUTE, STR("notify_flags=1")));
	assert_true(takes(&c, RECORD_RECIPIENT, STR("bob")));
	assert_true(takes(&c, RECORD_MESSAGE, STR_EMPTY));
	assert_true(takes(&c, RECORD_LINE, STR("any \r bytes")));
	assert_true(takes(&c, RECORD_EXTRACTED, STR_EMPTY));
	assert_true(takes(&c, RECORD_RECIPIENT, STR("carol")));
	assert_true(takes(&c, RECORD_END, STR_EMPTY));
	assert_int_equal(c.phase, MAILDROP_DONE);
	assert_int_equal(c.recipients, 2);
	assert_false(takes(&c, RECORD_RECIPIENT, STR("late")));
}

TEST(maildrop_refuses_what_only_other_services_may_say)
{
	static const struct {
		int type;
		const char *data;
	} refused[] = {
	    {RECORD_SIZE, "1"},
	    {RECORD_TIME, "1 1"},
	    {RECORD_FILTER, "smtp:evil"},
	    {RECORD_REDIRECT, "a@b"},
	    {RECORD_DONE, "a@b"},
	    {RECORD_POINTER, "0"},
	    {RECORD_LINE, "text before its time"},
	    {RECORD_ATTRIBUTE, "log_client_address=1.2.3.4"},
	    {RECORD_ATTRIBUTE, "sasl_username=x"},
	    {RECORD_RECIPIENT, "a\nb@c"},
	    {RECORD_MESSAGE, ""}, /* no sender yet */
	    {0, ""},
	    {255, ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct maildrop_check c = {.phase = MAILDROP_ENVELOPE};
		assert_false(takes(&c, refused[i].type, str_of(refused[i].data)));
	}
	struct maildrop_check c = {.phase = MAILDROP_ENVELOPE};
	assert_false(takes(&c, RECORD_RECIPIENT, ((struct str){"a\0b", 3})));
}
