#include "queue/record.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/file.h"
#include "unit.h"

static int file_of(struct str bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	return fd;
}

TEST(a_record_is_written_as_postfix_writes_it)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	record_write(&out, RECORD_SENDER, STR("alice@lab.test"));
	record_attribute(&out, "ret_flags", STR("1"));
	record_printf(&out, RECORD_TIME, "%d %d", 1795318146, 448913);
	record_write(&out, RECORD_MESSAGE, STR(""));
	static const char want[] =
	    "S\016alice@lab.testA\013ret_flags=1T\0211795318146 448913M\0";
	assert_int_equal(out.len, sizeof(want) - 1);
	assert_memory_equal(out.p, want, out.len);
}

TEST(lengths_use_seven_bits_a_byte)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(RECORD_DATA_MAX);
	static const struct {
		size_t len;
		const char *header;
		size_t header_len;
	} rows[] = {
	    {127, "N\x7f", 2},
	    {128, "N\x80\x01", 3},
	    {2048, "N\x80\x10", 3},
	    {16384, "N\x80\x80\x01", 4},
	    {RECORD_DATA_MAX, "N\x80\xa0\x06", 4},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT((size_t)2 * RECORD_DATA_MAX);
		buf_clear(&data);
		buf_add_fill(&data, 'x', rows[i].len);
		record_write(&out, RECORD_LINE, buf_str(&data));
		assert_memory_equal(out.p, rows[i].header, rows[i].header_len);
		assert_int_equal(out.len, rows[i].header_len + rows[i].len);
		struct str in = buf_str(&out);
		int type = 0;
		struct str back = STR_EMPTY;
		assert_int_equal(record_read(&in, &type, &back), 1);
		assert_int_equal(type, RECORD_LINE);
		assert_int_equal(back.len, rows[i].len);
		assert_int_equal(in.len, 0);
	}
}

TEST(a_cut_record_asks_for_more_and_a_bad_length_is_refused)
{
	static const struct {
		struct str bytes;
		int result;
	} rows[] = {
	    {{"", 0}, 0}, {{"N", 1}, 0}, {{"N\x80", 2}, 0},
	    {{"N\x03"
	      "ab",
		 4},
		0},
	    {{"N\x80\x80\x80\x80\x80", 6}, -EBADMSG},
	    {{"N\x80\x80\x80\x80\x01", 6}, -EBADMSG}, {{"N\xff\xff\x7f", 4}, -EBADMSG},
	    {{"N\x81\xa0\x06", 4}, -EBADMSG}, /* RECORD_DATA_MAX + 1 */
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct str in = rows[i].bytes;
		int type = 0;
		struct str data = STR_EMPTY;
		assert_int_equal(record_read(&in, &type, &data), rows[i].result);
		assert_int_equal(in.len, rows[i].bytes.len);
	}
}

TEST(a_reader_gives_records_and_offsets_from_anywhere)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(10 * RECORD_DATA_MAX);
	CLEANUP(buf_free) struct buf big = BUF_INIT(RECORD_DATA_MAX);
	buf_add_fill(&big, 'y', RECORD_DATA_MAX);
	record_write(&out, RECORD_SENDER, STR("a"));
	for (int i = 0; i < 5; i++)
		record_write(&out, RECORD_LINE, buf_str(&big));
	off_t last = (off_t)out.len;
	record_write(&out, RECORD_END, STR(""));
	CLEANUP(file_close) int fd = file_of(buf_str(&out));
	struct record_reader r;
	int type = 0;
	struct str data = STR_EMPTY;
	record_reader_init(&r, fd, 0);
	assert_int_equal(record_reader_next(&r, &type, &data), 1);
	assert_str(data, "a");
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(record_reader_next(&r, &type, &data), 1);
		assert_int_equal(r.last_offset, 3 + i * (RECORD_DATA_MAX + 4));
		assert_true(str_equal(data, buf_str(&big)));
	}
	assert_int_equal(record_reader_next(&r, &type, &data), 1);
	assert_int_equal(type, RECORD_END);
	assert_int_equal(r.last_offset, last);
	assert_int_equal(record_reader_next(&r, &type, &data), 0);
	record_reader_seek(&r, 3);
	assert_int_equal(record_reader_next(&r, &type, &data), 1);
	assert_int_equal(type, RECORD_LINE);
	record_reader_seek(&r, 0);
	assert_int_equal(record_reader_next(&r, &type, &data), 1);
	assert_int_equal(type, RECORD_SENDER);
	record_reader_seek(&r, last);
	assert_int_equal(record_reader_next(&r, &type, &data), 1);
	assert_int_equal(type, RECORD_END);
	record_reader_seek(&r, last + 100);
	assert_int_equal(record_reader_next(&r, &type, &data), 0);
	record_reader_free(&r);
}

TEST(a_file_cut_inside_a_record_is_malformed)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	record_write(&out, RECORD_SENDER, STR("alice@lab.test"));
	for (size_t len = 1; len < out.len; len++) {
		CLEANUP(file_close) int fd = file_of(str_slice(buf_str(&out), 0, len));
		struct record_reader r;
		int type = 0;
		struct str data = STR_EMPTY;
		record_reader_init(&r, fd, 0);
		assert_int_equal(record_reader_next(&r, &type, &data), -EBADMSG);
		record_reader_free(&r);
	}
}

TEST(labels_are_those_of_postcat)
{
	assert_string_equal(record_label('C', false), "message_size");
	assert_string_equal(record_label('L', false), "content_filter");
	assert_string_equal(record_label('L', true), "unterminated_text");
	assert_string_equal(record_label('N', true), "regular_text");
	assert_string_equal(record_label('p', false), "pointer_record");
	assert_null(record_label('Z', false));
}

TEST(whole_lines_become_records_up_to_one_that_is_long)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(1000);
	buf_add_cstr(&text, "one\n\n");
	buf_add_fill(&text, 'x', 200);
	buf_add_char(&text, '\n');
	struct str lines = buf_str(&text);
	assert_int_equal(record_write_lines(&out, lines, 200), 5);
	record_write(&expected, RECORD_LINE, STR("one"));
	record_write(&expected, RECORD_LINE, STR_EMPTY);
	assert_true(str_equal(buf_str(&out), buf_str(&expected)));
	assert_int_equal(record_write_lines(&out, str_skip(lines, 5), 201), 201);
	record_write(&expected, RECORD_LINE, str_slice(lines, 5, 205));
	assert_true(str_equal(buf_str(&out), buf_str(&expected)));
	assert_int_equal(record_write_lines(&out, STR("open"), 200), 0);
	assert_int_equal(record_write_lines(&out, STR_EMPTY, 200), 0);
	assert_true(str_equal(buf_str(&out), buf_str(&expected)));
}

TEST(lines_that_do_not_fit_are_not_taken)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(20);
	assert_int_equal(record_write_lines(&out, STR("1234567\n1234567\n"), 100), 8);
	assert_false(buf_ok(&out));
	assert_int_equal(out.len, 9);
}
