#include "conf/conf.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "common_params.h"
#include "conf/computed.h"
#include "lmtp_params.h"
#include "smtpd_params.h"
#include "unit.h"

DEFINE_CLEANUP(conf_free, struct conf *)

static struct conf *load(const char *text, struct buf *error)
{
	const char *directory = unit_directory();
	CLEANUP(buf_free) struct buf path = BUF_INIT(1000);
	buf_printf(&path, "%s/main.cf", directory);
	CLEANUP(file_close)
	int fd =
	    file_open_at(AT_FDCWD, buf_cstr(&path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	return conf_load(directory, error);
}

static void check_value(struct conf *c, const char *name, const char *expected)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	assert_true(conf_get(c, str_of(name), &value));
	assert_str(buf_str(&value), expected);
}

TEST(conf_names_are_sorted_and_found)
{
	assert_true(param_all_count >= 940);
	for (size_t i = 0; i < param_all_count; i++) {
		const char *name = param_all[i].name;
		if (i > 0)
			assert_true(strcmp(param_all[i - 1].name, name) < 0);
		assert_ptr_equal(param_find(str_of(name)), &param_all[i]);
	}
	assert_null(param_find(STR("nosuch")));
	assert_null(param_find(STR("")));
	assert_null(param_find(STR("zzz")));
	assert_non_null(param_family_find(STR("relay_destination_rate_delay")));
	assert_null(param_family_find(STR("_destination_rate_delay")));
}

/* Each built-in default can be expanded and read by its type. */
TEST(conf_of_nothing_fills_every_table_with_its_defaults)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	CLEANUP(conf_free_cleanup) struct conf *c = conf_load(NULL, &error);
	struct common_params common;
	struct smtpd_params smtpd;
	struct smtp_params lmtp;
	assert_true(conf_fill(c, common_param_table, &common, &error));
	assert_true(conf_fill(c, smtpd_param_table, &smtpd, &error));
	assert_true(conf_fill(c, lmtp_param_table, &lmtp, &error));
	assert_string_equal(common.mail_name, "Postfix");
	assert_string_equal(common.mail_owner, "postfix");
	assert_int_equal(common.ipc_timeout, 3600);
	assert_int_equal(common.message_size_limit, 10240000);
	assert_false(common.soft_bounce);
	assert_int_equal(smtpd.smtpd_timeout, 300);
	assert_true(smtpd.smtpd_delay_reject);
	/* The default of the LMTP name, in the field of the SMTP one. */
	assert_int_equal(lmtp.smtp_connect_timeout, 0);
	assert_int_equal(lmtp.smtp_helo_timeout, 300);
	for (size_t i = 0; i < param_all_count; i++) {
		CLEANUP(buf_free) struct buf value = BUF_INIT(CONF_VALUE_MAX);
		assert_true(conf_get(c, str_of(param_all[i].name), &value));
	}
}

TEST(conf_override_beats_main_cf_beats_computed_beats_default)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	CLEANUP(conf_free_cleanup)
	struct conf *c = load("mail_name = File\nrelayhost = [$mail_name]\n", &error);
	assert_non_null(c);
	check_value(c, "mail_name", "File");
	conf_computed(c, "mail_name", STR("Computed"));
	conf_computed(c, "syslog_name", STR("computed"));
	check_value(c, "mail_name", "File");
	check_value(c, "syslog_name", "computed");
	assert_true(conf_override(c, STR("mail_name = First")));
	assert_true(conf_override(c, STR("mail_name=Second")));
	check_value(c, "relayhost", "[Second]");
	assert_false(conf_override(c, STR("mail_name")));
	assert_true(conf_is_set(c, STR("relayhost")));
	assert_false(conf_is_set(c, STR("syslog_name")));
	assert_string_equal(conf_raw(c, STR("relayhost"), false), "[$mail_name]");
	assert_null(conf_raw(c, STR("inet_protocols"), false));
	assert_string_equal(conf_raw(c, STR("inet_protocols"), true), "all");
}

TEST(conf_warns_of_a_repeated_name_and_takes_the_last)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	assert_int_equal(log_open(LOG_SINK_MEMORY, "test", NULL), 0);
	log_memory_clear();
	CLEANUP(conf_free_cleanup)
	struct conf *c = load(
	    " x = y\nrelayhost = a\nmydomain=d\nrelayhost = b\nmydomain = d\n", &error);
	check_value(c, "relayhost", "b");
	assert_true(
	    str_find_str(log_memory(),
		STR("main.cf, line 4: overriding earlier entry: relayhost=a")) >= 0);
	assert_true(str_find_str(log_memory(), STR("entry: mydomain")) < 0);
	assert_true(str_find_str(log_memory(),
			STR("logical line must not start with "
			    "whitespace: \" x = y\"")) >= 0);
	assert_false(conf_is_set(c, STR("x")));
}

TEST(conf_file_errors_name_file_and_line)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
	    {"mydomain=a.b\nfoo\n",
		"/main.cf, line 2: missing '=' after attribute name: \"foo\""},
	    {"a b = c",
		"/main.cf, line 1: missing '=' after attribute name: \"a b = c\""},
	    {"= x", "/main.cf, line 1: missing attribute name: \"= x\""},
	    {"x=a\n# c\n  b\n\n  c\nfoo\n",
		"/main.cf, line 6: missing '=' after attribute name: \"foo\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		assert_null(load(cases[i].text, &error));
		assert_true(str_ends(buf_str(&error), str_of(cases[i].error)));
	}
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	assert_null(conf_load("/nonexistent", &error));
	assert_str(
	    buf_str(&error), "open /nonexistent/main.cf: No such file or directory");
}

TEST(conf_fill_says_what_is_wrong_with_a_value)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
	    {"ipc_timeout = 5x", "parameter ipc_timeout: bad time value or unit: 5x"},
	    {"ipc_timeout = -5", "parameter ipc_timeout: bad time value or unit: -5"},
	    {"ipc_timeout =", "parameter ipc_timeout: bad time value or unit: "},
	    {"ipc_timeout = 0", "invalid ipc_timeout: 0 (min 1)"},
	    {"ipc_timeout = 99999999999w",
		"parameter ipc_timeout: bad time value or unit: 99999999999w"},
	    {"message_size_limit = abc",
		"bad numerical configuration: message_size_limit = abc"},
	    {"line_length_limit = 3",
		"invalid line_length_limit parameter value 3 < 512"},
	    {"line_length_limit = 99999999999",
		"bad numerical configuration: line_length_limit = 99999999999"},
	    {"soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"},
	    {"queue_directory =", "bad string length 0 < 1: queue_directory = "},
	    {"mydomain = $mydomain", "unreasonable macro call nesting: \"mydomain\""},
	    {"relayhost = x\nmail_name = ${x", "truncated macro reference: \"${x\""},
	};
	struct common_params common;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
		CLEANUP(conf_free_cleanup) struct conf *c = load(cases[i].text, &error);
		assert_non_null(c);
		assert_false(conf_fill(c, common_param_table, &common, &error));
		assert_str(buf_str(&error), cases[i].error);
	}
}

TEST(conf_fill_leaves_raw_values_unexpanded)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	CLEANUP(conf_free_cleanup)
	struct conf *c = load("default_rbl_reply = $rbl_code no\nsoft_bounce=YES\n"
			      "smtpd_timeout = ${stress?{10}:{2}}m\n",
	    &error);
	struct smtpd_params smtpd;
	struct common_params common;
	assert_true(conf_fill(c, smtpd_param_table, &smtpd, &error));
	assert_true(conf_fill(c, common_param_table, &common, &error));
	assert_string_equal(smtpd.default_rbl_reply, "$rbl_code no");
	assert_int_equal(smtpd.smtpd_timeout, 120);
	assert_true(common.soft_bounce);
}

TEST(conf_computes_the_host_and_domain_names_from_each_other)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	char host[256];
	assert_int_equal(gethostname(host, sizeof(host)), 0);

	CLEANUP(conf_free_cleanup)
	struct conf *a = load("myhostname = A.Example.COM\n", &error);
	check_value(a, "mydomain", "Example.COM");
	check_value(
	    a, "mydestination", "A.Example.COM, localhost.Example.COM, localhost");
	CLEANUP(conf_free_cleanup) struct conf *b = load("myhostname = foo\n", &error);
	check_value(b, "mydomain", "localdomain");
	CLEANUP(conf_free_cleanup)
	struct conf *d = load("myhostname = $mydomain\n", &error);
	check_value(d, "myhostname", "localdomain");
	if (strchr(host, '.') == NULL) {
		CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
		CLEANUP(conf_free_cleanup)
		struct conf *e = load("mydomain=$x\nx=ex.com", &error);
		buf_printf(&expected, "%s.ex.com", host);
		check_value(e, "myhostname", buf_cstr(&expected));
	}
}

TEST(conf_computes_mynetworks_by_style)
{
	static const char interfaces[] = "127.0.0.1/8 192.0.2.77/25 ::1/128 fd00::2/64";
	static const struct {
		const char *style;
		const char *expected;
	} cases[] = {
	    {"host", "127.0.0.1/32 192.0.2.77/32 [::1]/128 [fd00::2]/128"},
	    {"subnet", "127.0.0.0/8 192.0.2.0/25 [::1]/128 [fd00::]/64"},
	    {"class", "127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64"},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		assert_true(computed_mynetworks(
		    cases[i].style, str_of(interfaces), &out, &error));
		assert_str(buf_str(&out), cases[i].expected);
	}
	assert_false(computed_mynetworks("foo", STR(""), &out, &error));
	assert_str(
	    buf_str(&error), "unknown mynetworks mask style value \"foo\" in \"foo\"");
	buf_clear(&error);
	assert_false(computed_mynetworks("host", STR("10.0.0.1/33"), &out, &error));
	assert_str(buf_str(&error), "bad interface address: 10.0.0.1/33");
}

TEST(conf_reads_numbers_by_computed_name)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	CLEANUP(conf_free_cleanup)
	struct conf *c =
	    load("n=7\nrelay_limit=$n\nrelay_delay=2m\nbad=x\nplain=3\n", &error);
	int64_t value = 0;
	assert_true(conf_get_int(c, STR("relay_limit"), 20, &value));
	assert_int_equal(value, 7);
	assert_true(conf_get_int(c, STR("other_limit"), 20, &value));
	assert_int_equal(value, 20);
	assert_false(conf_get_int(c, STR("bad"), 20, &value));
	assert_true(conf_get_time(c, STR("relay_delay"), 's', 0, &value));
	assert_int_equal(value, 120);
	assert_true(conf_get_time(c, STR("plain"), 'h', 0, &value));
	assert_int_equal(value, 3 * 3600);
	assert_false(conf_get_time(c, STR("bad"), 's', 0, &value));
}

static char without_effect[1000];

static void collect(const char *name, bool unknown)
{
	size_t len = strlen(without_effect);
	(void)snprintf(without_effect + len, sizeof(without_effect) - len, "%s%s ",
	    unknown ? "?" : "", name);
}

TEST(conf_tells_which_settings_have_no_effect)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	CLEANUP(conf_free_cleanup)
	struct conf *c = load("stray = 1\nmine = 2\nmail_name = $mine\n"
			      "smtpd_restriction_classes = greylist\ngreylist = permit\n"
			      "virtual_alias_maps = ldap:people\npeople_server_host = x\n"
			      "other_server_host = y\nqmqpd_timeout = 3\n",
	    &error);
	without_effect[0] = '\0';
	conf_each_without_effect(c, collect);
	assert_non_null(strstr(without_effect, "?stray "));
	assert_non_null(strstr(without_effect, "?other_server_host "));
	assert_null(strstr(without_effect, "mine"));
	assert_null(strstr(without_effect, "greylist"));
	assert_null(strstr(without_effect, "people_server_host"));
}

TEST(conf_parses_times_and_levels_strictly)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: refused */
	} times[] = {
	    {"0", 0},
	    {"300s", 300},
	    {"5", 300},
	    {"2h", 7200},
	    {"1d", 86400},
	    {"1w", 604800},
	    {"", -1},
	    {"s", -1},
	    {"5 h", -1},
	    {"1.5h", -1},
	    {"-1s", -1},
	    {"5S", -1},
	    {"5ss", -1},
	    {"2147483647s", INT32_MAX},
	    {"2147483648s", -1},
	    {"3551w", -1},
	};
	int64_t value = 0;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		bool ok = conf_parse_time(str_of(times[i].text), 'm', &value);
		assert_int_equal(ok, times[i].seconds >= 0);
		if (ok)
			assert_int_equal(value, times[i].seconds);
	}
	int64_t previous = -1;
	static const char *const levels[] = {
	    "0", "1", "2", "3", "3.6", "3.6.1", "3.11", "4"};
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		assert_true(conf_parse_level(str_of(levels[i]), &value));
		assert_true(value > previous);
		previous = value;
	}
	static const char *const bad[] = {
	    "", "x", "3.", ".3", "3.x", "3.6.1.1", "-1", "3 "};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(conf_parse_level(str_of(bad[i]), &value));
}
