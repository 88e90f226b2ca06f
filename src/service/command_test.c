#include "service/command.h"

#include <fcntl.h>
#include <stdlib.h>
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "unit.h"

static char directory[100];

static void write_main_cf(const char *text)
{
	char path[120];
	(void)snprintf(path, sizeof(path), "%s/main.cf", directory);
	int fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ENSURE(fd >= 0 && file_write_all(fd, text, strlen(text)) == 0);
	file_close(&fd);
}

static struct command test_command = {
    .name = "unit",
    .fatal_status = 1,
};

static void begin(const char *text)
{
	(void)snprintf(directory, sizeof(directory), "%s", unit_directory());
	write_main_cf(text);
	command_start(&test_command, directory);
	ENSURE(log_open(LOG_SINK_MEMORY, "postfix/unit", NULL) == 0);
	log_memory_clear();
}

static void end(void)
{
	ENSURE(log_open(LOG_SINK_STDERR, "postfix/unit", NULL) == 0);
}

TEST(a_command_reads_the_configuration_of_its_directory_and_exports_it)
{
	begin("myhostname = one.test\n");
	assert_string_equal(command_common()->myhostname, "one.test");
	assert_string_equal(command_directory(), directory);
	assert_string_equal(getenv("MAIL_CONFIG"), directory);
	end();
}

TEST(a_reload_takes_what_is_new)
{
	begin("myhostname = one.test\nmax_use = 3\n");
	write_main_cf("myhostname = two.test\n");
	assert_true(command_reload(&test_command));
	assert_string_equal(command_common()->myhostname, "two.test");
	assert_int_equal(command_common()->max_use, 100);
	assert_string_equal(command_directory(), directory);
	end();
}

TEST(a_reload_of_a_faulty_file_is_logged_and_changes_nothing)
{
	static const char *const faulty[] = {
	    "myhostname = two.test\nmax_use = many\n",
	    "myhostname\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(faulty); i++) {
		begin("myhostname = one.test\nmax_use = 3\n");
		write_main_cf(faulty[i]);
		assert_false(command_reload(&test_command));
		assert_string_equal(command_common()->myhostname, "one.test");
		assert_int_equal(command_common()->max_use, 3);
		assert_true(str_find_str(log_memory(), STR("error: ")) >= 0);
		end();
	}
}

TEST(networks_not_set_follow_the_interfaces_and_set_ones_stay)
{
	begin("inet_interfaces = 127.0.0.1\nmynetworks_style = host\n");
	assert_string_equal(command_common()->mynetworks, "127.0.0.1/32");
	write_main_cf("inet_interfaces = 127.0.0.1\nmynetworks_style = class\n");
	assert_true(command_reload(&test_command));
	assert_string_equal(command_common()->mynetworks, "127.0.0.0/8");
	write_main_cf("mynetworks_style = host\nmynetworks = 10.0.0.0/8\n");
	assert_true(command_reload(&test_command));
	assert_string_equal(command_common()->mynetworks, "10.0.0.0/8");
	write_main_cf("mynetworks_style = sideways\n");
	assert_false(command_reload(&test_command));
	assert_string_equal(command_common()->mynetworks, "10.0.0.0/8");
	end();
}

TEST(programs_are_found_beside_the_running_one_only_in_a_tree_of_ours)
{
	begin("");
	const char *own = program_own_directory();
	assert_non_null(own);
	assert_int_equal(own[0], '/');
	/* This test is not in bin or libexec: the configured directory holds no stamp. */
	struct common_params common = *command_common();
	common.daemon_directory = directory;
	const char *daemons = program_daemon_directory(&common);
	assert_string_not_equal(daemons, directory);
	assert_true(
	    str_find_str(log_memory(), STR("does not hold programs of ours")) >= 0);
	end();
}
