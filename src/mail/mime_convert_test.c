#include "mail/mime_convert.h"

#include "unit.h"

/* The message as it comes out; what is not whole ends in '|'. */
static void on_field(void *context, UNUSED enum mime_class class, struct str field)
{
	buf_printf(context, "%.*s\n", STR_ARG(field));
}

static void on_header_end(void *context, bool primary)
{
	if (primary)
		buf_add_cstr(context, "Added: x\n");
}

static void on_text(void *context, const struct mime_text *text)
{
	buf_add_str(context, text->line);
	buf_add_char(context, text->whole ? '\n' : '|');
}

static const struct mime_events events = {on_field, on_header_end, on_text, NULL};
static const struct mime_options options = {
    .nesting_limit = 100, .boundary_limit = 2048, .header_limit = 102400};

static void convert(struct buf *out, const char *message)
{
	struct mime_convert *c = mime_convert_new(&options, &events, out);
	struct str rest = str_of(message), line;
	for (ptrdiff_t end = 0; rest.len > 0; rest = str_skip(rest, line.len + 1)) {
		end = str_find(rest, '\n');
		line = str_slice(rest, 0, end < 0 ? rest.len : (size_t)end);
		mime_add_line(mime_convert_input(c), line, end >= 0);
	}
	mime_end(mime_convert_input(c));
	mime_convert_flush(c);
	mime_convert_free(c);
}

#define assert_converted(message, expected)                            \
	do {                                                           \
		CLEANUP(buf_free) struct buf out_ = BUF_INIT(1000000); \
		convert(&out_, message);                               \
		assert_string_equal(buf_cstr(&out_), expected);        \
	} while (0)

TEST(parts_that_announce_8_bit_are_quoted)
{
	assert_converted(
	    "Content-Transfer-Encoding: 8bit\nSubject: x\n\n\xe9 = \nb\t\n\nc\n",
	    "Subject: x\nContent-Transfer-Encoding: quoted-printable\nAdded: "
	    "x\n\n=E9 =3D=20\nb=09\n\nc\n");
	assert_converted("Content-Transfer-Encoding: binary\n\n\x01\x7f\n",
	    "Content-Transfer-Encoding: quoted-printable\nAdded: x\n\n=01=7F\n");
}

TEST(other_parts_stay)
{
	assert_converted("Subject: x\n\n\xe9=\n", "Subject: x\nAdded: x\n\n\xe9=\n");
	assert_converted("Content-Transfer-Encoding: base64\n\na= \n",
	    "Content-Transfer-Encoding: base64\nAdded: x\n\na= \n");
	assert_converted("Content-Transfer-Encoding: 7bit\n\n\xe9\n",
	    "Content-Transfer-Encoding: 7bit\nAdded: x\n\n\xe9\n");
	assert_converted(
	    "Content-Type: message/partial\nContent-Transfer-Encoding: 8bit\n\n\xe9=\n",
	    "Content-Type: message/partial\nContent-Transfer-Encoding: 7bit\nAdded: "
	    "x\n\n\xe9=\n");
}

TEST(each_part_is_converted_as_it_says)
{
	assert_converted("Content-Transfer-Encoding: 8bit\n"
			 "Content-Type: multipart/mixed; boundary=b\n\npre=\n--b\n"
			 "Content-Transfer-Encoding: 8bit\n\n\xe9 \n--b\n\nz=\n--b\n"
			 "Content-Type: message/rfc822\nContent-Transfer-Encoding: "
			 "8bit\n\nSubject: z\n"
			 "Content-Transfer-Encoding: 8bit\n\nq=\n--b--\nepi=\n",
	    "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: "
	    "7bit\nAdded: x\n\npre=\n--b\n"
	    "Content-Transfer-Encoding: quoted-printable\n\n=E9=20\n--b\n\nz=\n--b\n"
	    "Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: "
	    "z\n"
	    "Content-Transfer-Encoding: quoted-printable\n\nq=3D\n--b--\nepi=\n");
}

TEST(long_lines_are_broken)
{
	CLEANUP(buf_free) struct buf message = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
	buf_add_cstr(&message, "Content-Transfer-Encoding: 8bit\n\n");
	buf_add_fill(&message, 'y', 74);
	buf_add_char(&message, '\n');
	buf_add_fill(&message, '=', 26);
	buf_add_char(&message, '\n');
	buf_add_fill(&message, 'y', 72);
	buf_add_cstr(&message, " \n");
	buf_add_cstr(
	    &expected, "Content-Transfer-Encoding: quoted-printable\nAdded: x\n\n");
	buf_add_fill(&expected, 'y', 73);
	buf_add_cstr(&expected, "=\ny\n");
	for (int i = 0; i < 25; i++)
		buf_add_cstr(&expected, "=3D");
	buf_add_cstr(&expected, "=\n=3D\n");
	buf_add_fill(&expected, 'y', 72);
	buf_add_cstr(&expected, "=20\n");
	assert_converted(buf_cstr(&message), buf_cstr(&expected));
}

TEST(a_line_may_come_in_pieces_and_lack_its_end)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	struct mime_convert *c = mime_convert_new(&options, &events, &out);
	struct mime *input = mime_convert_input(c);
	mime_add_line(input, STR("Content-Transfer-Encoding: 8bit"), true);
	mime_add_line(input, STR(""), true);
	mime_add_line(input, STR("a "), false);
	mime_add_line(input, STR("b "), true);
	mime_add_line(input, STR("c "), false);
	mime_end(input);
	mime_convert_flush(c);
	mime_convert_free(c);
	assert_string_equal(buf_cstr(&out),
	    "Content-Transfer-Encoding: quoted-printable\nAdded: x\n\na b=20\nc=20|");
}
