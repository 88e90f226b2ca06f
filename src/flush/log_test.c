#include "flush/log.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "unit.h"

static void enter(void)
{
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("flush", 0700), 0);
	assert_int_equal(log_open(LOG_SINK_MEMORY, "test", NULL), 0);
	log_memory_clear();
}

TEST(the_name_of_a_log_comes_from_its_site)
{
	static const struct {
		const char *site, *path;
	} cases[] = {
	    {"ok.test", "flush/ok_test"},
	    {"Mixed.Example.COM", "flush/mixed_example_com"},
	    {"a-b..c/../d", "flush/a_b__c____d"},
	    {"[1.2.3.4]", "flush/_1_2_3_4_"},
	};
	char path[QUEUE_PATH_MAX];
	char site[300];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		flush_log_path(path, str_of(cases[i].site));
		assert_string_equal(path, cases[i].path);
	}
	memset(site, 'a', sizeof(site));
	flush_log_path(path, (struct str){site, sizeof(site)});
	assert_int_equal(strlen(path), QUEUE_PATH_MAX - 1);
}

static void collect(void *context, struct str id)
{
	struct buf *all = context;
	buf_add_str(all, id);
	buf_add_char(all, ' ');
}

TEST(a_log_is_a_set_and_is_empty_afterwards)
{
	enter();
	CLEANUP(buf_free) struct buf all = BUF_INIT(1000);
	static const char *const ids[] = {"6DC6248E", "6DC6248E", "C5009468", "6DC6248E"};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(flush_log_add("flush/a", str_of(ids[i])), 0);
	struct stat status;
	assert_int_equal(stat("flush/a", &status), 0);
	assert_int_equal(status.st_size, 27); /* the second was seen at once */
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(flush_log_take("flush/a", collect, &all), 0);
	assert_str(buf_str(&all), "6DC6248E C5009468 ");
	buf_clear(&all);
	assert_int_equal(flush_log_take("flush/a", collect, &all), 0);
	assert_str(buf_str(&all), "");
	assert_int_equal(flush_log_take("flush/b", collect, &all), -ENOENT);
}

TEST(what_is_no_id_is_passed_by)
{
	enter();
	struct str rest = STR("../../etc/passwd\nAB\n6DC6248E\n\na b\nC5009468");
	struct str id;
	assert_true(flush_log_next(&rest, "flush/x", &id));
	assert_str(id, "6DC6248E");
	assert_true(flush_log_next(&rest, "flush/x", &id));
	assert_str(id, "C5009468");
	assert_false(flush_log_next(&rest, "flush/x", &id));
	assert_str(log_memory(),
	    "warning: bad queue id \"../../etc/passwd...\" in fast flush logfile flush/x\n"
	    "warning: bad queue id \"AB...\" in fast flush logfile flush/x\n"
	    "warning: bad queue id \"a b...\" in fast flush logfile flush/x\n");
}
