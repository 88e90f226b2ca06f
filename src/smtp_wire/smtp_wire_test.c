#include "unit.h"

#include "smtp_wire/capability.h"
#include "smtp_wire/command.h"
#include "smtp_wire/data.h"

static const struct {
	const char *title, *in;
	enum bare_newline mode;
	const char *text;
	size_t used; /* bytes up to and including the end of data; 0 = no end */
} decodings[] = {
    {"a plain message", "a\r\nb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\nb\n", 9},
    {"an empty one", ".\r\n", BARE_NEWLINE_NORMALIZE, "", 3},
    {"what follows is left alone", "a\r\n.\r\nQUIT\r\n", BARE_NEWLINE_NORMALIZE, "a\n",
	6},
    {"a stuffed dot", "..a\r\n.b\r\n.\r\n", BARE_NEWLINE_NORMALIZE, ".a\nb\n", 12},
    {"LF.LF does not end", "a\n.\nb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\n\nb\n", 10},
    {"LF.CRLF does not end", "a\n.\r\nb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\n\nb\n",
	11},
    {"CRLF.LF does not end", "a\r\n.\nb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\n\nb\n",
	11},
    {"CR.CR does not end", "a\r.\rb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\r.\rb\n", 10},
    {"CRLF.CR does not end", "a\r\n.\rb\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\n\rb\n",
	11},
    {"reject looks the same", "a\n.\nb\r\n.\r\n", BARE_NEWLINE_REJECT, "a\n\nb\n", 10},
    {"allowed: LF.LF ends", "a\n.\nb\r\n", BARE_NEWLINE_ALLOW, "a\n", 4},
    {"allowed: LF.CRLF ends", "a\n.\r\nb", BARE_NEWLINE_ALLOW, "a\n", 5},
    {"no end yet", "a\r\n.", BARE_NEWLINE_NORMALIZE, "a\n", 0},
    {"CR CR LF", "a\r\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "a\r\n", 7},
    {"a dot, CR, CR, LF", ".\r\r\n.\r\n", BARE_NEWLINE_NORMALIZE, "\r\n", 7},
};

/* However the bytes are cut into pieces, the text and the end are the same. */
TEST(data_decodes_the_same_in_pieces_of_any_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(decodings); i++) {
		struct str in = str_of(decodings[i].in);
		for (size_t piece = 1; piece <= in.len; piece++) {
			struct data_decoder d;
			struct buf out = BUF_INIT(1000);
			size_t used = 0;
			data_decoder_init(&d, decodings[i].mode);
			while (used < in.len && !d.ended)
				used += data_decode(
				    &d, str_slice(in, used, used + piece), &out);
			assert_str(buf_str(&out), decodings[i].text);
			assert_int_equal(d.ended ? used : 0, decodings[i].used);
			buf_free(&out);
		}
	}
}

TEST(data_over_its_ceiling_is_read_to_the_end)
{
	struct data_decoder d;
	struct buf out = BUF_INIT(2);
	data_decoder_init(&d, BARE_NEWLINE_NORMALIZE);
	assert_int_equal(data_decode(&d, STR("abc\r\ndef\r\n.\r\n"), &out), 13);
	assert_true(d.ended);
	assert_false(buf_ok(&out));
	buf_free(&out);
}

TEST(data_notes_bare_line_ends_and_counts_all)
{
	struct data_decoder d;
	struct buf out = BUF_INIT(100);
	data_decoder_init(&d, BARE_NEWLINE_REJECT);
	(void)data_decode(&d, STR("a\nb\rc\r\n.\r\n"), &out);
	assert_true(d.saw_bare_lf);
	assert_int_equal(d.lines, 2);
	assert_str(buf_str(&out), "a\nb\rc\n");
	buf_free(&out);
}

TEST(command_is_split_into_verb_and_arguments)
{
	struct smtp_command c = {.too_long = false};
	smtp_command_split(STR("  MAIL   FROM:<a@b> SIZE=1 "), &c);
	assert_str(c.verb, "MAIL");
	assert_str(c.arguments, "FROM:<a@b> SIZE=1");
	smtp_command_split(STR("   "), &c);
	assert_int_equal(c.verb.len, 0);
}

TEST(parameters_with_and_without_value)
{
	struct str rest = STR(" SIZE=10 SMTPUTF8 ENVID= "), name, value;
	assert_true(smtp_parameter_next(&rest, &name, &value));
	assert_str(name, "SIZE");
	assert_str(value, "10");
	assert_true(smtp_parameter_next(&rest, &name, &value));
	assert_str(name, "SMTPUTF8");
	assert_null(value.p);
	assert_true(smtp_parameter_next(&rest, &name, &value));
	assert_non_null(value.p);
	assert_int_equal(value.len, 0);
	assert_false(smtp_parameter_next(&rest, &name, &value));
}

TEST(capability_words_are_found_whatever_their_case)
{
	bool silent;
	assert_int_equal(capability_find(STR("pipelining")), CAPABILITY_PIPELINING);
	assert_int_equal(capability_find(STR("nothing")), 0);
	assert_int_equal(capability_list(STR("dsn, silent-discard ETRN"), &silent),
	    CAPABILITY_DSN | CAPABILITY_ETRN);
	assert_true(silent);
}
