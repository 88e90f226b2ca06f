/* What a delivery child tells, and what a hostile one might. */
#include "deliver/errand_report.h"
#include "unit.h"

enum { COUNT = 3 };

static void begin(struct why whys[COUNT])
{
	for (size_t i = 0; i < COUNT; i++)
		why_init(&whys[i]);
}

static void end(struct why whys[COUNT])
{
	for (size_t i = 0; i < COUNT; i++)
		why_free(&whys[i]);
}

TEST(each_outcome_reaches_its_recipient)
{
	struct why said[COUNT], heard[COUNT];
	CLEANUP(buf_free) struct buf report = BUF_INIT(ERRAND_REPORT_MAX + 1);
	begin(said);
	begin(heard);
	(void)why_later(&said[0], "4.3.1", "no space");
	(void)why_never(&said[2], "5.2.0", "no way");
	errand_report_write(&report, said, COUNT);
	errand_report_read(buf_str(&report), heard, COUNT);
	assert_string_equal(heard[0].status, "4.3.1");
	assert_string_equal(buf_cstr(&heard[0].text), "no space");
	assert_false(why_is_set(&heard[1]));
	assert_string_equal(heard[2].status, "5.2.0");
	assert_string_equal(buf_cstr(&heard[2].text), "no way");
	end(said);
	end(heard);
}

/* 50 failures with texts of 4000 bytes would be more than a pipe takes. */
TEST(long_texts_are_cut_so_that_all_fit)
{
	enum { MANY = 50 };
	struct why said[MANY];
	CLEANUP(buf_free) struct buf report = BUF_INIT(ERRAND_REPORT_MAX + 1);
	for (size_t i = 0; i < MANY; i++) {
		why_init(&said[i]);
		(void)why_later(&said[i], "4.3.0", "%04000d", 0);
	}
	errand_report_write(&report, said, MANY);
	assert_true(buf_ok(&report));
	assert_in_range(report.len, ERRAND_REPORT_MAX / 2, ERRAND_REPORT_MAX);
	for (size_t i = 0; i < MANY; i++)
		why_free(&said[i]);
}

/* No result is a failure that is tried again, never a success. */
TEST(what_is_not_understood_is_a_failure)
{
	static const char *const reports[] = {"", "4.2.0", "no-status-that-long x"};
	for (size_t r = 0; r < ARRAY_SIZE(reports); r++) {
		struct why heard[COUNT];
		begin(heard);
		errand_report_read(str_of(reports[r]), heard, COUNT);
		for (size_t i = 0; i < COUNT; i++) {
			assert_true(why_is_later(&heard[i]));
			assert_string_equal(heard[i].status, "4.3.0");
		}
		end(heard);
	}
}
