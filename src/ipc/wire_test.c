#include "ipc/wire.h"

#include <errno.h>
#include "unit.h"

TEST(a_frame_comes_back_as_written_and_the_bytes_behind_it_stay)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct wire_frame f = {7, WIRE_MESSAGE, WIRE_END, 0x1234, STR("hello")};
	wire_frame_write(&out, &f);
	buf_add_cstr(&out, "rest");
	struct str in = buf_str(&out);
	struct wire_frame back;
	assert_int_equal(wire_frame_read(&in, &back), 1);
	assert_int_equal(back.exchange, 7);
	assert_int_equal(back.kind, WIRE_MESSAGE);
	assert_int_equal(back.flags, WIRE_END);
	assert_int_equal(back.type, 0x1234);
	assert_str(back.payload, "hello");
	assert_str(in, "rest");
}

TEST(the_frame_layout_is_the_documented_one)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct wire_frame f = {0x01020304, WIRE_MESSAGE, WIRE_END, 0x0a0b, STR("x")};
	wire_frame_write(&out, &f);
	assert_int_equal(out.len, WIRE_HEADER + 1);
	assert_memory_equal(
	    out.p, "\x09\0\0\0\x04\x03\x02\x01\x02\x01\x0b\x0ax", out.len);
}

TEST(an_incomplete_frame_asks_for_what_is_missing)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct wire_frame f = {1, WIRE_MESSAGE, 0, 1, STR("payload")};
	wire_frame_write(&out, &f);
	for (size_t len = 0; len < out.len; len++) {
		struct str in = {out.p, len};
		struct wire_frame back;
		assert_int_equal(wire_frame_read(&in, &back), 0);
		assert_int_equal(in.len, len);
		size_t end = len < WIRE_HEADER ? WIRE_HEADER : out.len;
		assert_int_equal(wire_frame_missing(in), end - len);
	}
}

TEST(malformed_frames_are_refused_as_soon_as_their_header_is_there)
{
	static const struct {
		const char *what;
		char bytes[WIRE_HEADER + 1];
		size_t len;
	} rows[] = {
	    {"length below the header", "\x07\0\0\0", 4},
	    {"length above the maximum", "\x09\0\x04\0", 4},
	    {"length of all ones", "\xff\xff\xff\xff", 4},
	    {"kind 0", "\x08\0\0\0\x01\0\0\0\0\0\0\0", 12},
	    {"unknown kind", "\x08\0\0\0\x01\0\0\0\x06\0\0\0", 12},
	    {"unknown flag", "\x08\0\0\0\x01\0\0\0\x02\x04\0\0", 12},
	    {"descriptor", "\x08\0\0\0\x01\0\0\0\x02\x02\0\0", 12},
	    {"message on exchange 0", "\x08\0\0\0\0\0\0\0\x02\0\0\0", 12},
	    {"hello on an exchange", "\x08\0\0\0\x01\0\0\0\x01\0\0\0", 12},
	    {"hello with a type", "\x08\0\0\0\0\0\0\0\x01\0\x01\0", 12},
	    {"hello with END", "\x08\0\0\0\0\0\0\0\x01\x01\0\0", 12},
	    {"credit without number", "\x08\0\0\0\x01\0\0\0\x03\0\0\0", 12},
	    {"credit with five bytes", "\x0d\0\0\0\x01\0\0\0\x03\0\0\0", 12},
	    {"cancel of the connection", "\x08\0\0\0\0\0\0\0\x04\0\0\0", 12},
	    {"cancel with payload", "\x09\0\0\0\x01\0\0\0\x04\0\0\0", 12},
	    {"goaway of an exchange", "\x0c\0\0\0\x01\0\0\0\x05\0\0\0", 12},
	    {"goaway without number", "\x08\0\0\0\0\0\0\0\x05\0\0\0", 12},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct str in = {rows[i].bytes, rows[i].len};
		struct wire_frame f;
		if (wire_frame_read(&in, &f) != -EBADMSG)
			fail_msg("%s was let through", rows[i].what);
	}
}

TEST(hello_comes_back_as_written)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct wire_hello h = {STR("trivial-rewrite"), 100, WIRE_WINDOW};
	wire_hello_write(&out, &h);
	struct str in = buf_str(&out);
	struct wire_frame f;
	assert_int_equal(wire_frame_read(&in, &f), 1);
	assert_int_equal(in.len, 0);
	struct wire_hello back;
	assert_true(wire_hello_read(f.payload, &back));
	assert_str(back.service, "trivial-rewrite");
	assert_int_equal(back.exchanges, 100);
	assert_int_equal(back.window, WIRE_WINDOW);
}

TEST(a_hello_of_another_shape_is_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
	    {"", 0},
	    {"POST\x01\0", 6},
	    {"PAST\x01\0\x01x\0\0\0\0\0\0\0\0", 16},
	    {"POST\x02\0\x01x\0\0\0\0\0\0\0\0", 16}, /* version 2 */
	    {"POST\x01\0\0\0\0\0\0\0\0\0\0", 15},    /* no name */
	    {"POST\x01\0\x01\n\0\0\0\0\0\0\0\0", 16},
	    {"POST\x01\0\x02x\0\0\0\0\0\0\0\0", 16},
	    {"POST\x01\0\x01x\0\0\0\0\0\0\0\0\0", 17},
	    {"POST\x01\0\xffx\0\0\0\0\0\0\0\0", 16},
	};
	struct wire_hello h;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_false(
		    wire_hello_read((struct str){rows[i].bytes, rows[i].len}, &h));
	assert_true(
	    wire_hello_read((struct str){"POST\x01\0\x01x\0\0\0\0\0\0\0\0", 16}, &h));
}
