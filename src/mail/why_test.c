#include "mail/why.h"

#include <errno.h>
#include "unit.h"

TEST(a_reason_says_later_or_never)
{
	struct why w;
	why_init(&w);
	assert_false(why_is_set(&w));
	assert_false(why_later(&w, "5.4.1", "connect to %s: %s", "mx", "refused"));
	assert_true(why_is_set(&w));
	assert_true(why_is_later(&w));
	assert_string_equal(w.status, "4.4.1");
	assert_str(buf_str(&w.text), "connect to mx: refused");
	assert_false(why_never(&w, "5.1.1", "unknown user: \"%s\"", "x"));
	assert_false(why_is_later(&w));
	why_soften(&w);
	assert_string_equal(w.status, "4.1.1");
	why_clear(&w);
	assert_false(why_is_set(&w));
	assert_int_equal(w.text.len, 0);
	why_free(&w);
}

TEST(a_reason_holds_no_control_bytes)
{
	struct why w;
	why_init(&w);
	(void)why_later(&w, "4.0.0", "a%cb%cc\xc3\xa9", '\n', 127);
	assert_str(buf_str(&w.text), "a?b?c\xc3\xa9");
	why_remote(&w, STR("mx\r"), STR("550 no\nX: y"));
	assert_str(buf_str(&w.diag_type), "smtp");
	assert_str(buf_str(&w.diag_text), "550 no?X: y");
	assert_str(buf_str(&w.mta_name), "mx?");
	why_free(&w);
}

TEST(a_long_reason_is_cut)
{
	struct why w;
	why_init(&w);
	(void)why_later(&w, "4.0.0", "%*s", 10000, "x");
	assert_int_equal(w.text.len, WHY_TEXT_MAX);
	why_free(&w);
}

TEST(system_trouble_names_the_error)
{
	struct why w, copy;
	why_init(&w);
	why_init(&copy);
	assert_false(why_system(&w, -ENOSPC, "write %s", "incoming/X"));
	assert_string_equal(w.status, "4.3.0");
	assert_str(buf_str(&w.text), "write incoming/X: No space left on device");
	why_copy(&copy, &w);
	assert_string_equal(copy.status, "4.3.0");
	assert_str(buf_str(&copy.text), "write incoming/X: No space left on device");
	assert_false(why_later(NULL, "4.0.0", "x"));
	why_free(&w);
	why_free(&copy);
}
