#include "mail/content_checks.h"

#include "unit.h"

static struct content_action header(const char *value)
{
	return content_action_parse(str_of(value), CONTENT_ALL, true, "header_checks");
}

TEST(an_action_is_its_name_in_any_case_and_the_text_behind)
{
	static const struct {
		const char *value;
		enum content_action_kind kind;
		const char *text;
	} rows[] = {
	    {"REJECT", CONTENT_REJECT, ""},
	    {"reject  5.7.99 no thanks ", CONTENT_REJECT, "5.7.99 no thanks"},
	    {"Warn\tcareful", CONTENT_WARN, "careful"},
	    {"DUNNO", CONTENT_DUNNO, ""},
	    {"OK", CONTENT_OK, ""},
	    {"HOLD it", CONTENT_HOLD, "it"},
	    {"DISCARD", CONTENT_DISCARD, ""},
	    {"FILTER smtp:[127.0.0.1]:10025", CONTENT_FILTER, "smtp:[127.0.0.1]:10025"},
	    {"FILTER smtp:", CONTENT_FILTER, "smtp:"},
	    {"REDIRECT a@b", CONTENT_REDIRECT, "a@b"},
	    {"BCC a@b", CONTENT_BCC, "a@b"},
	    {"PREPEND X-A: b", CONTENT_PREPEND, "X-A: b"},
	    {"REPLACE X-A: b", CONTENT_REPLACE, "X-A: b"},
	    {"IGNORE", CONTENT_IGNORE, ""},
	    {"STRIP why", CONTENT_STRIP, "why"},
	    {"INFO", CONTENT_INFO, ""},
	    {"PASS", CONTENT_PASS, ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct content_action action = header(rows[i].value);
		assert_int_equal(action.kind, rows[i].kind);
		assert_str(action.text, rows[i].text);
	}
}

TEST(an_action_with_a_wrong_text_counts_as_none)
{
	static const char *const values[] = {"FILTER nocolon", "FILTER", "FILTER :x",
	    "REDIRECT nobody", "REDIRECT", "REDIRECT @b", "REDIRECT a@", "BCC nobody",
	    "PREPEND", "PREPEND no header", "REPLACE", "REPLACE text", "FROB x", "",
	    "DELAY 5m", "REJECTED"};
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		assert_int_equal(header(values[i]).kind, CONTENT_DUNNO);
}

TEST(a_body_line_may_be_replaced_by_any_text)
{
	struct content_action action = content_action_parse(
	    STR("REPLACE no header"), CONTENT_ALL, false, "body_checks");
	assert_int_equal(action.kind, CONTENT_REPLACE);
	assert_str(action.text, "no header");
}

TEST(on_output_nothing_is_refused)
{
	static const struct {
		const char *value;
		enum content_action_kind kind;
	} rows[] = {
	    {"REJECT x", CONTENT_DUNNO},
	    {"HOLD", CONTENT_DUNNO},
	    {"REDIRECT a@b", CONTENT_DUNNO},
	    {"IGNORE", CONTENT_IGNORE},
	    {"WARN x", CONTENT_WARN},
	    {"PREPEND X: y", CONTENT_PREPEND},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(content_action_parse(str_of(rows[i].value),
				     CONTENT_OUTPUT, true, "smtp_header_checks")
				     .kind,
		    rows[i].kind);
}
