#include "queue/queue_write.h"

#include "unit.h"

/* The sample of a file that Postfix wrote: its first 97 bytes. */
TEST(the_size_record_has_fixed_columns)
{
	char out[QUEUE_SIZE_RECORD];
	queue_size_record(out, &(struct queue_size){254, 1023, 5, 14, 254, 0});
	assert_memory_equal(out,
	    "C_            254            1023               5              14             254 "
	    "              0",
	    QUEUE_SIZE_RECORD);
}

TEST(a_recipient_is_written_with_what_precedes_it)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct queue_write_recipient r = {
	    STR("bob@lab.test"), STR("bob@lab.test"), STR("rfc822;Bobby@lab.test"), 6};
	queue_recipient_records(&out, &r);
	assert_str(buf_str(&out),
	    "A\016notify_flags=6A#dsn_orig_rcpt=rfc822;Bobby@lab.test"
	    "O\014bob@lab.testR\014bob@lab.test");
	buf_clear(&out);
	queue_recipient_records(
	    &out, &(struct queue_write_recipient){.address = STR("bob")});
	assert_str(buf_str(&out), "R\003bob");
}

TEST(long_lines_are_cut_into_parts)
{
	static const struct {
		size_t len;
		const char *types;
		size_t last;
	} rows[] = {{0, "N", 0}, {2047, "N", 2047}, {2048, "LN", 0}, {5000, "LLN", 904}};
	CLEANUP(buf_free) struct buf line = BUF_INIT(10000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
		buf_clear(&line);
		buf_add_fill(&line, 'z', rows[i].len);
		struct str rest = buf_str(&line);
		while (queue_text_record(&out, &rest, 2048))
			;
		struct str in = buf_str(&out);
		struct str data = STR_EMPTY;
		int type = 0;
		for (const char *want = rows[i].types; *want != '\0'; want++) {
			assert_int_equal(record_read(&in, &type, &data), 1);
			assert_int_equal(type, *want);
			assert_int_equal(data.len, want[1] == '\0' ? rows[i].last : 2048);
		}
		assert_int_equal(in.len, 0);
	}
}
