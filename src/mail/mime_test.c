#include "mail/mime.h"

#include "unit.h"

/* What came out: a letter and the text for each event. H M N: field of a class, E and e:
 * end of the first and of an inner header, S: separating line, A: one that was added, B:
 * boundary, T: text, +: a piece of a line, !: trouble. */
struct seen {
	struct buf text;
	bool offsets;
};

static void on_field(void *context, enum mime_class class, struct str field)
{
	struct seen *seen = context;
	buf_printf(&seen->text, "%c%.*s|", "HMN"[class], STR_ARG(field));
}

static void on_header_end(void *context, bool primary)
{
	struct seen *seen = context;
	buf_add_cstr(&seen->text, primary ? "E|" : "e|");
}

static void on_text(void *context, const struct mime_text *text)
{
	struct seen *seen = context;
	char kind = text->added ? 'A'
	    : text->separates   ? 'S'
	    : text->boundary    ? 'B'
	    : text->whole       ? 'T'
				: '+';
	buf_printf(&seen->text, "%c%.*s", kind, STR_ARG(text->line));
	if (seen->offsets)
		buf_printf(&seen->text, "@%lld", (long long)text->offset);
	buf_add_char(&seen->text, '|');
}

static void on_trouble(void *context, enum mime_trouble trouble, struct str excerpt)
{
	struct seen *seen = context;
	buf_printf(&seen->text, "!%d%.*s|", (int)trouble, STR_ARG(excerpt));
}

static const struct mime_events events = {on_field, on_header_end, on_text, on_trouble};
static const struct mime_options defaults = {
    .nesting_limit = 100, .boundary_limit = 2048, .header_limit = 102400};

static void feed(struct mime *m, const char *message)
{
	struct str rest = str_of(message);
	while (rest.len > 0) {
		ptrdiff_t end = str_find(rest, '\n');
		size_t len = end < 0 ? rest.len : (size_t)end;
		mime_add_line(m, str_slice(rest, 0, len), end >= 0);
		rest = str_skip(rest, len + 1);
	}
	mime_end(m);
}

static struct seen recognise(const struct mime_options *options, const char *message)
{
	struct seen seen = {.text = BUF_INIT(1000000)};
	struct mime *m = mime_new(options, &events, &seen);
	feed(m, message);
	mime_free(m);
	return seen;
}

#define assert_seen(options, message, expected)                       \
	do {                                                          \
		struct seen seen_ = recognise(options, message);      \
		assert_string_equal(buf_cstr(&seen_.text), expected); \
		buf_free(&seen_.text);                                \
	} while (0)

TEST(a_header_ends_at_an_empty_line_or_at_what_is_no_field)
{
	assert_seen(&defaults, "A: b\n c\nD: e\n\nx\n", "HA: b\n c|HD: e|E|S|Tx|");
	assert_seen(&defaults, "A: b\nx y\nC: d\n", "HA: b|E|A|Tx y|TC: d|");
	assert_seen(&defaults, "\nx\n", "E|S|Tx|");
	assert_seen(&defaults, " x\n", "E|A|T x|");
	assert_seen(&defaults, "A: b\n", "HA: b|E|");
	assert_seen(&defaults, "A: b", "HA: b|E|");
	assert_seen(&defaults, "", "E|");
	assert_seen(&defaults, "A: b\n\nx", "HA: b|E|S|+x|");
}

TEST(in_a_header_a_nul_ends_the_line)
{
	struct seen seen = {.text = BUF_INIT(10000)};
	struct mime *m = mime_new(&defaults, &events, &seen);
	mime_add_line(m, STR("A: b\0c"), true);
	mime_add_line(m, STR(" d\0e"), true);
	mime_end_field(m);
	mime_add_line(m, STR(" x\0y"), true);
	mime_end(m);
	mime_free(m);
	assert_string_equal(buf_cstr(&seen.text), "HA: b\n d|E|A|T x|"); /* by %s */
	buf_free(&seen.text);
}

TEST(parts_of_a_multipart_have_headers_of_their_own)
{
	assert_seen(&defaults,
	    "Content-Type: multipart/mixed; boundary=\"b\"\nX: 1\n\npre\n--b\n"
	    "X: 2\n\nbody\n--b\n\nY: 3\n--b--\nepi\n",
	    "MContent-Type: multipart/mixed; boundary=\"b\"|HX: 1|E|S|Tpre|B--b|"
	    "MX: 2|e|S|Tbody|B--b|e|S|TY: 3|B--b--|Tepi|");
}

TEST(an_attached_message_has_a_header_of_its_own)
{
	assert_seen(&defaults,
	    "Content-Type: message/rfc822\n\nSubject: in\nContent-Id: x\n\nA: b\n",
	    "MContent-Type: message/rfc822|E|S|NSubject: in|MContent-Id: x|e|S|TA: b|");
	assert_seen(&defaults, "Content-Type: message/partial\n\nA: b\n\nx\n",
	    "MContent-Type: message/partial|E|S|TA: b|T|Tx|");
	assert_seen(&defaults,
	    "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nx\n--b--\n",
	    "MContent-Type: multipart/digest; "
	    "boundary=b|E|S|B--b|e|S|NA: b|e|S|Tx|B--b--|");
}

TEST(a_boundary_of_an_outer_part_ends_the_inner_ones)
{
	assert_seen(&defaults,
	    "Content-Type: multipart/mixed; boundary=o\n\n--o\n"
	    "Content-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\nA: b\n\n--i\n"
	    "--o--\n--o\n",
	    "MContent-Type: multipart/mixed; boundary=o|E|S|B--o|"
	    "MContent-Type: multipart/mixed; boundary=i|e|S|B--i|e|S|Tx|B--o|MA: "
	    "b|e|S|T--i|B--o--|T--o|");
}

TEST(a_part_without_an_empty_line_gets_none)
{
	assert_seen(&defaults,
	    "Content-Type: multipart/mixed; boundary=o\n--o\nA: b\nx y\n--o--\n",
	    "MContent-Type: multipart/mixed; boundary=o|E|A|B--o|MA: b|e|Tx y|B--o--|");
	assert_seen(&defaults,
	    "Content-Type: multipart/mixed; boundary=o\n\n--o\nA: b\n--o\nC: d\n--o--\n",
	    "MContent-Type: multipart/mixed; boundary=o|E|S|B--o|MA: b|e|B--o|MC: "
	    "d|e|B--o--|");
}

TEST(boundaries_are_compared_by_their_start)
{
	struct mime_options shorter = defaults;
	shorter.boundary_limit = 2;
	assert_seen(&defaults, "Content-Type: multipart/a; boundary=b\n\n--bXX\nA: b\n\n",
	    "MContent-Type: multipart/a; boundary=b|E|S|B--bXX|MA: b|e|S|");
	assert_seen(&shorter,
	    "Content-Type: multipart/a; boundary=abc\n\n--abd\nA: b\n\n",
	    "MContent-Type: multipart/a; boundary=abc|E|S|B--abd|MA: b|e|S|");
}

TEST(types_are_understood_with_comments_and_blanks)
{
	static const char *const multiparts[] = {
	    ("multipart / mixed (c) ; x=y; (b=\"q\") "
	     "boundary = \"b c\" ; z"),
	    "Multipart/Other;\n\tBOUNDARY=\"b\\ c\"", "multipart/mixed;boundary=\"b c"};
	static const char *const others[] = {"multipart/mixed",
	    "multipart; boundary=\"b c\"", "\"multipart\"/mixed; boundary=\"b c\"",
	    "multipart/mixed; boundary=\"\"", "multipart/mixed; xboundary=\"b c\"",
	    "multipart/mixed (; boundary=\"b c\"", "", ";",
	    "text/plain; boundary=\"b c\""};
	CLEANUP(buf_free) struct buf message = BUF_INIT(1000);
	for (size_t i = 0; i < ARRAY_SIZE(multiparts) + ARRAY_SIZE(others); i++) {
		bool multipart = i < ARRAY_SIZE(multiparts);
		buf_clear(&message);
		buf_printf(&message, "Content-Type: %s\n\n--b c\nA: b\n\n",
		    multipart ? multiparts[i] : others[i - ARRAY_SIZE(multiparts)]);
		struct seen seen = recognise(&defaults, buf_cstr(&message));
		assert_int_equal(
		    str_find_str(buf_str(&seen.text), STR("|B--b c|MA: b|")) >= 0,
		    multipart);
		buf_free(&seen.text);
	}
}

/* `levels` multiparts in each other. */
static bool is_too_deep(const struct mime_options *options, int levels)
{
	CLEANUP(buf_free) struct buf message = BUF_INIT(100000);
	for (int i = 0; i < levels; i++)
		buf_printf(
		    &message, "Content-Type: multipart/a; boundary=b%d\n\n--b%d\n", i, i);
	struct seen seen = recognise(options, buf_cstr(&message));
	bool too_deep = str_find_str(buf_str(&seen.text), STR("|!1Content-Type")) >= 0;
	buf_free(&seen.text);
	return too_deep;
}

TEST(nesting_has_a_limit)
{
	struct mime_options options = defaults;
	options.nesting_limit = 3;
	options.report = MIME_TOO_DEEP;
	assert_false(is_too_deep(&options, 5));
	assert_true(is_too_deep(&options, 6));
	assert_true(is_too_deep(&options, 9));
	options.report = 0;
	assert_false(is_too_deep(&options, 9));
}

TEST(what_strict_receivers_refuse_is_reported_once)
{
	struct mime_options strict = defaults;
	strict.report = MIME_8BIT_IN_HEADER | MIME_8BIT_IN_BODY | MIME_ENCODING_DOMAIN;
	assert_seen(
	    &strict, "A: \xe9\nB: \xe9\n\nx\n", "!2A: \xe9|HA: \xe9|HB: \xe9|E|S|Tx|");
	assert_seen(
	    &strict, "A: b\n\nx\xe9\ny\xe9\n", "HA: b|E|S|!4x\xe9|Tx\xe9|Ty\xe9|");
	assert_seen(&strict, "Content-Transfer-Encoding: 8bit\n\nx\xe9\n",
	    "MContent-Transfer-Encoding: 8bit|E|S|Tx\xe9|");
	assert_seen(&defaults, "A: \xe9\n\nx\xe9\n", "HA: \xe9|E|S|Tx\xe9|");
}

TEST(flat_messages_have_a_header_and_a_body)
{
	struct mime_options flat = defaults;
	flat.flat = true;
	assert_seen(&flat, "Content-Type: multipart/a; boundary=o\n\n--o\nA: b\n\n",
	    "MContent-Type: multipart/a; boundary=o|E|S|T--o|TA: b|T|");
}

TEST(long_lines_come_in_pieces)
{
	struct seen seen = {.text = BUF_INIT(10000)};
	struct mime_options options = defaults;
	options.header_limit = 10;
	struct mime *m = mime_new(&options, &events, &seen);
	mime_add_line(m, STR("A: 4567"), false);
	mime_add_line(m, STR("8901234"), false); /* past the limit */
	mime_add_line(m, STR("x: y"), true);
	mime_add_line(m, STR(" folded"), true);
	mime_add_line(m, STR("B: c"), true);
	assert_false(mime_rest_is_plain(m));
	mime_add_line(m, STR(""), true);
	assert_true(mime_rest_is_plain(m));
	mime_add_line(m, STR("--x"), false);
	mime_add_line(m, STR("--x"), true);
	mime_end(m);
	mime_free(m);
	assert_string_equal(buf_cstr(&seen.text), "HA: 4567890|HB: c|E|S|+--x|T--x|");
	buf_free(&seen.text);
}

struct plain {
	struct mime *mime;
	bool plain;
};

static void remember_plain(void *context, UNUSED bool primary)
{
	struct plain *seen = context;
	seen->plain = mime_rest_is_plain(seen->mime);
}

static void ignore_field(
    UNUSED void *context, UNUSED enum mime_class class, UNUSED struct str field)
{
}

static void ignore_text(UNUSED void *context, UNUSED const struct mime_text *text)
{
}

TEST(only_a_body_without_structure_is_plain_when_the_header_ends)
{
	static const struct mime_events watch = {
	    ignore_field, remember_plain, ignore_text, NULL};
	static const struct {
		const char *field;
		bool plain;
	} rows[] = {{"Subject: x", true}, {"Content-Type: text/plain", true},
	    {"Content-Type: message/rfc822", false},
	    {"Content-Type: message/partial", true},
	    {"Content-Type: multipart/mixed; boundary=b", false},
	    {"Content-Type: multipart/mixed", true}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plain seen = {NULL, false};
		seen.mime = mime_new(&defaults, &watch, &seen);
		mime_add_line(seen.mime, str_of(rows[i].field), true);
		mime_add_line(seen.mime, STR_EMPTY, true);
		assert_int_equal(seen.plain, rows[i].plain);
		mime_free(seen.mime);
	}
}

TEST(offsets_count_within_a_part)
{
	struct seen seen = {.text = BUF_INIT(10000), .offsets = true};
	struct mime *m = mime_new(&defaults, &events, &seen);
	feed(m, "Content-Type: multipart/a; boundary=o\n\nab\n--o\n\nx\ny\n--o--\nz\n");
	mime_free(m);
	assert_string_equal(buf_cstr(&seen.text),
	    "MContent-Type: multipart/a; "
	    "boundary=o|E|S@0|Tab@1|B--o@4|e|S@0|Tx@1|Ty@3|B--o--@0|Tz@6|");
	buf_free(&seen.text);
}
