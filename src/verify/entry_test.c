#include "verify/entry.h"

#include "unit.h"

#define NOW 1800000000
static const struct entry_times times = {.positive_expire = 1000,
    .positive_refresh = 100,
    .negative_expire = 500,
    .negative_refresh = 50};

TEST(entry_is_read_as_postfix_writes_it)
{
	struct entry e;
	CLEANUP(buf_free) struct buf out = BUF_INIT(ENTRY_VALUE_MAX);
	const char *value = "2:0:1800000000:host a[1.2.3.4] said: 550 5.1.1 no: never";
	assert_true(entry_parse(str_of(value), &e));
	assert_int_equal(e.status, VERIFY_UNDELIVERABLE);
	assert_int_equal(e.probed, 0);
	assert_int_equal(e.updated, NOW);
	assert_str(e.text, "host a[1.2.3.4] said: 550 5.1.1 no: never");
	entry_write(&out, &e);
	assert_str(buf_str(&out), value);
}

TEST(entry_that_is_malformed_is_none)
{
	static const char *const bad[] = {"", "0", "0:0:0", "0:0:0:", "4:0:0:x",
	    "-1:0:0:x", "a:0:0:x", "0:x:0:y", "0:0::y", "0:0:99999999999999999999:y",
	    "0:0:0:a\nb", "1800000000"};
	struct entry e;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(entry_parse(str_of(bad[i]), &e));
}

TEST(entry_text_is_made_printable_and_not_empty)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(ENTRY_VALUE_MAX);
	struct entry e = {.text = STR("a\nb\x7f")};
	entry_write(&out, &e);
	assert_str(buf_str(&out), "0:0:0:a?b?");
	e.text = STR_EMPTY;
	buf_clear(&out);
	entry_write(&out, &e);
	assert_true(entry_parse(buf_str(&out), &e));
}

TEST(entry_expires_and_wants_a_probe_at_its_times)
{
	const struct {
		enum verify_status status;
		int64_t probed_ago, updated_ago; /* -1: never */
		enum verify_status shown;
		bool probe, useless;
	} rows[] = {
	    {VERIFY_DELIVERABLE, -1, 100, VERIFY_DELIVERABLE, false, false},
	    {VERIFY_DELIVERABLE, -1, 101, VERIFY_DELIVERABLE, true, false},
	    {VERIFY_DELIVERABLE, 1000, 101, VERIFY_DELIVERABLE, false, false},
	    {VERIFY_DELIVERABLE, 1001, 101, VERIFY_DELIVERABLE, true, false},
	    {VERIFY_DELIVERABLE, -1, 1000, VERIFY_DELIVERABLE, true, false},
	    {VERIFY_DELIVERABLE, -1, 1001, VERIFY_UNKNOWN, true, true},
	    {VERIFY_DELIVERABLE, 5, 1001, VERIFY_UNKNOWN, false, false},
	    {VERIFY_TRY_LATER, -1, 50, VERIFY_TRY_LATER, false, false},
	    {VERIFY_TRY_LATER, -1, 51, VERIFY_TRY_LATER, true, false},
	    {VERIFY_UNDELIVERABLE, -1, 500, VERIFY_UNDELIVERABLE, true, false},
	    {VERIFY_UNDELIVERABLE, -1, 501, VERIFY_UNKNOWN, true, true},
	    {VERIFY_UNKNOWN, 0, -1, VERIFY_UNKNOWN, false, false},
	    {VERIFY_UNKNOWN, 1001, -1, VERIFY_UNKNOWN, true, true},
	    {VERIFY_UNKNOWN, -1, -1, VERIFY_UNKNOWN, true, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct entry e = {.status = rows[i].status,
		    .probed = rows[i].probed_ago < 0 ? 0 : NOW - rows[i].probed_ago,
		    .updated = rows[i].updated_ago < 0 ? 0 : NOW - rows[i].updated_ago,
		    .text = STR("x")};
		assert_int_equal(entry_is_useless(&e, &times, NOW), rows[i].useless);
		entry_expire(&e, &times, NOW);
		assert_int_equal(e.status, rows[i].shown);
		assert_int_equal(entry_wants_probe(&e, &times, NOW), rows[i].probe);
	}
}

TEST(entry_that_was_deliverable_survives_a_failure_until_it_expires)
{
	struct entry e = {.status = VERIFY_DELIVERABLE,
	    .probed = NOW - 1,
	    .updated = NOW - 900,
	    .text = STR("ok")};
	entry_update(&e, VERIFY_UNDELIVERABLE, STR("gone"), &times, NOW);
	assert_int_equal(e.status, VERIFY_DELIVERABLE);
	assert_int_equal(e.updated, NOW - 900);
	assert_int_equal(e.probed, NOW - 1);
	entry_update(&e, VERIFY_UNDELIVERABLE, STR("gone"), &times, NOW + 101);
	assert_int_equal(e.probed, 0);
	assert_int_equal(e.status, VERIFY_UNDELIVERABLE);
	assert_str(e.text, "gone");
	entry_update(&e, VERIFY_DELIVERABLE, STR("back"), &times, NOW + 102);
	assert_int_equal(e.status, VERIFY_DELIVERABLE);
}
