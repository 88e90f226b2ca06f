#include "mail/notice_template.h"

#include "mail/verp.h"
#include "unit.h"

static struct buf said = {.ceiling = 10000};

static void hear(const char *text)
{
	buf_printf(&said, "%s\n", text);
}

static const struct {
	const char *file, *subject, *text, *said;
} cases[] = {
    {"failure_template = <<EOT\nSubject: a\nFrom: b\n\nx\n\ny\nEOT\n", "a", "x\n\ny\n",
	""},
    {"# c\n\n  failure_template=<<E\nsubject: a\n\nx\nE\n", "a", "x\n", ""},
    {"failure_template = <<E\njust text\n\nmore\nE\n", NULL, "just text\n\nmore\n", ""},
    {"failure_template = <<E\nSubject: a\n  b\n\nx\nE\n", "a", "  b\n\nx\n", ""},
    {"failure_template = <<E\nSubject: a\n\nx\n", "a", "x\n",
	"f, line 5: missing \"E\" end marker\n"},
    {"failure_template = <<E\nSubject: a\nE\n", NULL, NULL,
	"f: missing message text in failure template -- ignoring this template\n"},
    {"failure_template = <<E\nSubject:\n\nx\nE\n", NULL, NULL,
	"f: empty \"Subject\" header value in failure template -- ignoring this template\n"},
    {"failure_template = <<E\nX-Y: z\n\nx\nE\n", NULL, NULL,
	"f: unknown \"X-Y\" header label in failure template -- ignoring this template\n"},
    {"failure_template = <<E\nSubject: \xc3\xb6\n\nx\nE\n", NULL, NULL,
	"f: non-ASCII \"Subject\" header value in failure template -- ignoring this "
	"template\n"},
    {"failure_template = <<E\nCharset: utf-8\n\n\xc3\xb6\nE\n", NULL, "\xc3\xb6\n", ""},
    {"other_template = <<E\nx\nE\n", NULL, NULL,
	"f, line 4: unknown template name: other_template -- ignoring this template\n"},
};

TEST(a_template_is_taken_whole_or_the_built_in_one_stands)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		struct notice_templates t, built_in;
		buf_clear(&said);
		assert_true(
		    notice_templates_parse(&built_in, "f", STR_EMPTY, hear, &error));
		assert_true(
		    notice_templates_parse(&t, "f", str_of(cases[i].file), hear, &error));
		const struct notice_template *one = &t.of[NOTICE_TEMPLATE_FAILURE];
		assert_str(buf_str(&said), cases[i].said);
		assert_str(one->subject,
		    cases[i].subject != NULL ? cases[i].subject
					     : "Undelivered Mail Returned to Sender");
		if (cases[i].text != NULL)
			assert_str(one->text, cases[i].text);
		else
			assert_true(str_equal(
			    one->text, built_in.of[NOTICE_TEMPLATE_FAILURE].text));
	}
	buf_free(&said);
}

TEST(a_file_that_is_no_list_of_templates_is_an_error)
{
	static const struct {
		const char *file, *error;
	} bad[] = {
	    {"failure_template <<E\n",
		"f, line 2: missing '=' after attribute name: \"failure_template <<E\""},
	    {"failure_template = <<\nx\n", "f, line 2: missing end marker after <<"},
	    {"failure_template = << \"E\"\nx\n",
		"f, line 2: malformed end marker after <<"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		struct notice_templates t;
		assert_false(
		    notice_templates_parse(&t, "f", str_of(bad[i].file), NULL, &error));
		assert_str(buf_str(&error), bad[i].error);
	}
}

static const struct {
	const char *text, *expanded, *error;
} texts[] = {
    {"$$5 $mydomain. ${mydomain}x $(mydomain)", "$5 lab.test. lab.testx lab.test", NULL},
    {"$delay_warning_time_minutes $delay_warning_time_hours $delay_warning_time",
	"100 1 100m", NULL},
    {"a $nosuch", NULL, "f: undefined $name in failure template: a $nosuch"},
    {"$ ", NULL, "f: bad $name syntax in failure template: $ "},
    {"$maximal_queue_lifetime_years", NULL,
	"f: unrecognized suffix \"years\" in parameter \"maximal_queue_lifetime_years\""},
};

TEST(names_in_a_text_are_expanded)
{
	CLEANUP(buf_free) struct buf trouble = BUF_INIT(1000);
	struct conf *conf = conf_load(NULL, &trouble);
	assert_true(conf_override(conf, STR("mydomain=lab.test")));
	assert_true(conf_override(conf, STR("delay_warning_time=100m")));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
		struct notice_template t = {
		    .kind = "failure", .origin = "f", .text = str_of(texts[i].text)};
		bool done = notice_template_expand(&t, conf, NULL, &out, &error);
		assert_int_equal(done, texts[i].error == NULL);
		assert_str(done ? buf_str(&out) : buf_str(&error),
		    done ? texts[i].expanded : texts[i].error);
	}
	conf_free(conf);
}

TEST(the_recipient_stands_in_the_sender)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	verp_sender(&out, STR("-="), STR("bob@lab.test"), STR("x@far.test"));
	assert_str(buf_str(&out), "bob-x=far.test@lab.test");
}
