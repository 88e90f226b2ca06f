#include "sendmail/content.h"

#include "queue/record.h"
#include "unit.h"

#define LINE_MAX_BYTES 16

struct shown {
	struct buf recipients;
};

static void take_body(void *context, struct str body, bool resent)
{
	struct shown *s = context;
	buf_add_cstr(&s->recipients, resent ? "(resent)" : "");
	buf_add_str(&s->recipients, body);
	buf_add_char(&s->recipients, ';');
}

/* "N:text|L:part|" */
static void show_records(struct buf *out, struct str records)
{
	int type;
	struct str data;
	while (record_read(&records, &type, &data) == 1) {
		buf_printf(out, "%c:", type);
		buf_add_str(out, data);
		buf_add_char(out, '|');
	}
	assert_int_equal(records.len, 0);
}

struct row {
	const char *input;
	const char *records;
	const char *recipients; /* NULL: without -t */
	bool dot_is_text;
	enum content_line_ends line_ends;
};

static void check_row(const struct row *row, size_t piece)
{
	struct content c;
	struct shown s = {BUF_INIT(10000)};
	CLEANUP(buf_free) struct buf records = BUF_INIT(10000);
	CLEANUP(buf_free) struct buf text = BUF_INIT(10000);
	content_init(&c, &records, LINE_MAX_BYTES);
	c.extract = row->recipients != NULL;
	c.dot_is_text = row->dot_is_text;
	c.line_ends = row->line_ends;
	c.recipients = take_body;
	c.context = &s;
	struct str rest = str_of(row->input);
	while (rest.len > 0 && content_text(&c, str_slice(rest, 0, piece)))
		rest = str_skip(rest, piece);
	content_end(&c);
	show_records(&text, buf_str(&records));
	assert_string_equal(buf_cstr(&text), row->records);
	assert_string_equal(
	    buf_cstr(&s.recipients), row->recipients != NULL ? row->recipients : "");
	content_free(&c);
	buf_free(&s.recipients);
}

/* As the reference does with the same input (a line limit of 16 instead of 2048). */
static const struct row rows[] = {
    {"", "", NULL, false, CONTENT_ALWAYS},
    {"\n", "N:|", NULL, false, CONTENT_ALWAYS},
    {"hello", "L:hello|", NULL, false, CONTENT_ALWAYS},
    {"a\nb\n.\nc\n", "N:a|N:b|", NULL, false, CONTENT_ALWAYS},
    {"a\n.", "N:a|", NULL, false, CONTENT_ALWAYS},
    {"a\n.\nc\n", "N:a|N:.|N:c|", NULL, true, CONTENT_ALWAYS},
    {"..\n.x\n", "N:..|N:.x|", NULL, false, CONTENT_ALWAYS},
    {"From x\nFrom y\n>From z\na\nFrom b\n", "N:a|N:From b|", NULL, false,
	CONTENT_ALWAYS},
    {"From a long line that is dropped\na\n", "N:a|", NULL, false, CONTENT_ALWAYS},
    {"\nFrom x\n", "N:|N:From x|", NULL, false, CONTENT_ALWAYS},
    {"a\r\r\nb\rc\n.\r\nd", "N:a|N:b\rc|", NULL, false, CONTENT_ALWAYS},
    {"a\nd\r", "N:a|L:d\r|", NULL, false, CONTENT_ALWAYS},
    {"a\r\nb\n.\r\n", "N:a\r|N:b|N:.\r|", NULL, false, CONTENT_NEVER},
    {"a\r\nb\nc\r\n", "N:a|N:b|N:c|", NULL, false, CONTENT_STRICT},
    {"a\nb\r\nc\n", "N:a|N:b\r|N:c|", NULL, false, CONTENT_STRICT},
    {"0123456789abcdef\n", "L:0123456789abcdef|N:|", NULL, false, CONTENT_ALWAYS},
    {"0123456789abcdefg\n", "L:0123456789abcdef|N:g|", NULL, false, CONTENT_ALWAYS},
    {"0123456789abcde\r\n", "L:0123456789abcde|N:|", NULL, false, CONTENT_ALWAYS},
    {"0123456789abcdef\r\n.\n", "L:0123456789abcdef|N:|", NULL, false, CONTENT_ALWAYS},
    {"0123456789abcdef.\nx\n", "L:0123456789abcdef|N:.|N:x|", NULL, false,
	CONTENT_ALWAYS},
    /* -t */
    {"To: a@b\nCc: c\nBcc: d\n\nTo: e\n", "N:To: a@b|N:Cc: c|N:Bcc: d|N:|N:To: e|",
	"a@b;c;d;", false, CONTENT_ALWAYS},
    {"To: a,\n b\nX: y\n z\n", "N:To: a,|N: b|N:X: y|N: z|", "a,\n b;", false,
	CONTENT_ALWAYS},
    {"To: a\nResent-To: r\n", "N:To: a|N:Resent-To: r|", "a;(resent)r;", false,
	CONTENT_ALWAYS},
    {"to:a\nReply-To: n\n\n", "N:to:a|N:Reply-To: n|N:|", "a;", false, CONTENT_ALWAYS},
    {"To: a\nno header\nTo: z\n", "N:To: a|N:|N:no header|N:To: z|", "a;", false,
	CONTENT_ALWAYS},
    {"To: a", "L:To: a|", "a;", false, CONTENT_ALWAYS},
    {"To: a\n.\nTo: b\n", "N:To: a|", "a;", false, CONTENT_ALWAYS},
    {"From x\nTo: a\r\n\r\nb\r\n", "N:To: a|N:|N:b|", "a;", false, CONTENT_ALWAYS},
    {" folded\nTo: a\n", "N:|N: folded|N:To: a|", "", false, CONTENT_ALWAYS},
    {"To: 0123456789, abcdefghi\n", "L:To: 0123456789, |N:abcdefghi|",
	"0123456789, abcdefghi;", false, CONTENT_ALWAYS},
};

TEST(a_message_becomes_records_however_it_is_cut)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t piece = 1; piece < 40; piece++)
			check_row(&rows[i], piece);
}

TEST(a_header_field_without_end_stops_the_message)
{
	struct content c;
	struct shown s = {BUF_INIT(10)};
	CLEANUP(buf_free) struct buf records = BUF_INIT(CONTENT_FIELD_MAX * 2);
	bool more = true;
	content_init(&c, &records, 1000);
	c.extract = true;
	c.recipients = take_body;
	c.context = &s;
	more = content_text(&c, STR("Subject: x\n"));
	for (int i = 0; more && i < CONTENT_FIELD_MAX; i++)
		more = content_text(&c, STR(" folded and folded again\n"));
	assert_false(more);
	assert_true(c.too_long);
	content_free(&c);
}
