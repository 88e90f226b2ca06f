#include "conf/master_cf.h"

#include "unit.h"

static const char stock[] =
    "# service type  private unpriv  chroot  wakeup  maxproc command + args\n"
    "smtp      inet  n       -       n       -       -       smtpd\n"
    "#smtp      inet  n       -       y       -       1       postscreen\n"
    "127.0.0.1:587 inet n - n - 5 smtpd\n"
    "  -o syslog_name=postfix/submission\n"
    "  # between\n"
    "  -o { smtpd_milters = { inet:a:1, x = y } }\n"
    "pickup    unix  n       -       n       60      1       pickup\n"
    "tlsmgr    unix  -       -       n       1000?   1       tlsmgr\n"
    "cleanup   unix  n       -       n       -       0       cleanup\n"
    "postlog   unix-dgram n  -       n       -       1       postlogd\n"
    "local     unix  -       n       n       -       -       local\n"
    "maildrop  unix  -       n       n       -       -       pipe\n"
    "  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\n";

TEST(master_cf_reads_the_rows_of_a_stock_file)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1 << 20);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct master_cf cf;
	assert_true(master_cf_parse(str_of(stock), "master.cf", arena, &cf, &error));
	assert_int_equal(cf.count, 8);

	const struct master_row *row = master_cf_find(&cf, STR("smtp"), STR("inet"));
	assert_non_null(row);
	assert_int_equal(row->type, MASTER_INET);
	assert_int_equal(row->is_private, 0);
	assert_int_equal(row->unpriv, MASTER_DEFAULT);
	assert_int_equal(row->chroot, 0);
	assert_int_equal(row->wakeup, MASTER_DEFAULT);
	assert_int_equal(row->maxproc, MASTER_DEFAULT);
	assert_string_equal(row->command, "smtpd");
	assert_int_equal(row->argument_count, 0);
	assert_null(row->arguments[0]);
	assert_int_equal(row->line, 2);

	row = master_cf_find(&cf, STR("127.0.0.1:587"), STR("inet"));
	assert_int_equal(row->maxproc, 5);
	assert_int_equal(row->argument_count, 4);
	assert_string_equal(row->arguments[0], "-o");
	assert_string_equal(row->arguments[1], "syslog_name=postfix/submission");
	assert_string_equal(row->arguments[3], "smtpd_milters = { inet:a:1, x = y }");

	row = master_cf_find(&cf, STR("tlsmgr"), STR("unix"));
	assert_int_equal(row->wakeup, 1000);
	assert_true(row->wakeup_if_used);
	assert_int_equal(master_cf_find(&cf, STR("pickup"), STR("unix"))->wakeup, 60);
	assert_int_equal(master_cf_find(&cf, STR("cleanup"), STR("unix"))->maxproc, 0);
	assert_int_equal(
	    master_cf_find(&cf, STR("postlog"), STR("unix-dgram"))->type, MASTER_DGRAM);
	assert_int_equal(master_cf_find(&cf, STR("local"), STR("unix"))->unpriv, 1 - 1);
	assert_int_equal(
	    master_cf_find(&cf, STR("maildrop"), STR("unix"))->argument_count, 5);
	assert_null(master_cf_find(&cf, STR("smtp"), STR("unix")));
}

TEST(master_cf_takes_the_last_row_of_a_service)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1 << 20);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct master_cf cf;
	assert_true(master_cf_parse(STR("a unix - - n - 1 x\nb unix - - n - - y\n"
					"a unix - - n - 2 z\na inet - - n - 3 w\n"
					"a unix n - n - 4 v\na unix y - n - 5 u\n"),
	    "m", arena, &cf, &error));
	assert_int_equal(cf.count, 4);
	assert_int_equal(cf.rows[0].maxproc, 5);
	assert_string_equal(cf.rows[0].command, "u");
	assert_int_equal(cf.rows[0].replaced, 2);
	assert_int_equal(cf.rows[2].replaced, 0);
	assert_string_equal(cf.rows[3].command, "v");
	assert_string_equal(cf.rows[2].command, "w");
}

TEST(master_cf_errors_name_file_and_line)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
	    {"\nsmtp inet n - n - -\n", "m.cf, line 2: bad field count"},
	    {"x foo n - n - - c",
		"m.cf, line 1: invalid type field \"foo\" in "
		"\"x foo n - n - - c\""},
	    {"x unix q - n - - c",
		"m.cf, line 1: invalid private field \"q\" in "
		"\"x unix q - n - - c\""},
	    {"x unix n Y n - - c",
		"m.cf, line 1: invalid unprivileged field \"Y\" in "
		"\"x unix n Y n - - c\""},
	    {"x unix n - yes - - c",
		"m.cf, line 1: invalid chroot field \"yes\" in "
		"\"x unix n - yes - - c\""},
	    {"x unix n - n -1 - c",
		"m.cf, line 1: invalid wakeup field \"-1\" in "
		"\"x unix n - n -1 - c\""},
	    {"x unix n - n 5?? - c",
		"m.cf, line 1: invalid wakeup field \"5??\" in "
		"\"x unix n - n 5?? - c\""},
	    {"x unix n - n -? - c",
		"m.cf, line 1: invalid wakeup field \"-?\" in "
		"\"x unix n - n -? - c\""},
	    {"x unix n - n - 1x c",
		"m.cf, line 1: invalid process_limit field \"1x\" in "
		"\"x unix n - n - 1x c\""},
	    {"x unix n - n - - c -o {a", "m.cf, line 1: missing '}' in the command"},
	    {"x unix n - n - - c {a}b",
		"m.cf, line 1: syntax error after '}' in the command"},
	    {"# c\n x unix n - n - - c",
		"m.cf, line 2: logical line must not start with whitespace"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1 << 20);
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		struct master_cf cf;
		assert_false(
		    master_cf_parse(str_of(cases[i].text), "m.cf", arena, &cf, &error));
		assert_str(buf_str(&error), cases[i].error);
	}
}

TEST(master_cf_that_is_missing_says_so)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1 << 20);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct master_cf cf;
	assert_false(master_cf_read("/nonexistent/master.cf", arena, &cf, &error));
	assert_str(
	    buf_str(&error), "open /nonexistent/master.cf: No such file or directory");
}

TEST(master_cf_larger_than_its_arena_is_an_error)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(256);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct master_cf cf;
	assert_false(master_cf_parse(str_of(stock), "m", arena, &cf, &error));
	assert_true(str_ends(buf_str(&error), STR("file is too long")));
}
