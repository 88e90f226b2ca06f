#include "mail/verify_sender.h"

#include "unit.h"

static void check(const char *address, int64_t ttl, int64_t now, const char *expected)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct verify_sender s = {.address = str_of(address), .ttl = ttl};
	verify_sender_write(&out, &s, now);
	assert_str(buf_str(&out), expected);
}

TEST(verify_sender_is_as_configured_without_a_ttl)
{
	check("double-bounce", 0, 1795580000, "double-bounce");
	check("a@b.test", 0, 1795580000, "a@b.test");
	check("<>", 0, 1, "");
	check("<>", 10, 1, "");
	check("", 0, 1, "");
}

/* As Postfix has it: 35 slices of 50000000 s since 1970 are "14". */
TEST(verify_sender_with_a_ttl_ends_in_the_time_slice)
{
	check("double-bounce", 60000000, 1795580000, "double-bounceY");
	check("double-bounce", 50000000, 1795580000, "double-bounce14");
	check("a@b.test", 60000000, 1795580000, "aY@b.test");
}

TEST(verify_sender_is_known_in_its_slice_and_the_ones_beside_it)
{
	struct verify_sender s = {
	    .address = STR("v"), .origin = STR("x.test"), .ttl = 100};
	const struct {
		const char *address;
		bool known;
	} rows[] = {{"v4@x.test", false}, {"v5@x.test", true}, {"v6@x.test", true},
	    {"V7@X.test", true}, {"v7", false}, {"v8@x.test", false}, {"v", false},
	    {"", false}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(
		    verify_sender_is(&s, str_of(rows[i].address), 650), rows[i].known);
}
