#include "service/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "queue/queue_dir.h"
#include "service/log_setup.h"
#include "table/own_networks.h"

#define ERROR_MAX 4096

static struct {
	struct conf *conf;
	struct common_params common;
} command;

const struct common_params *command_common(void)
{
	return &command.common;
}

struct conf *command_conf(void)
{
	return command.conf;
}

const char *command_directory(void)
{
	return conf_directory(command.conf);
}

static const char *default_directory(void)
{
	return param_find(STR("config_directory"))->initial;
}

static struct conf *load(const char *directory)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	struct conf *c = conf_load(directory, &error);
	if (c == NULL)
		fatal("%s", buf_cstr(&error));
	return c;
}

static bool fill(struct conf *conf, const struct command *c, struct buf *error)
{
	CLEANUP(buf_free) struct buf pid = BUF_INIT(20);
	buf_add_i64(&pid, getpid());
	conf_computed(conf, "process_id", buf_str(&pid));
	conf_computed(conf, "process_name", str_of(c->name));
	if (!conf_is_set(conf, STR("mynetworks")) && !own_networks_compute(conf, error))
		return false;
	return conf_fill(conf, common_param_table, &command.common, error) &&
	    (c->params == NULL || conf_fill(conf, c->params, c->values, error));
}

static bool is_listed(struct conf *c, const char *parameter, const char *directory)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(CONF_VALUE_MAX);
	struct str rest, word;
	if (!conf_get(c, str_of(parameter), &list))
		return false;
	rest = buf_str(&list);
	while (str_next(&rest, ", \t\r\n", &word))
		if (str_is(word, directory))
			return true;
	return false;
}

/*
 * A program that runs with more rights than its caller must not read that caller's idea
 * of a configuration: only the default one, or one that the default one names.
 */
static void check_directory(const char *directory)
{
	if (getauxval(AT_SECURE) == 0 || getuid() == 0 ||
	    str_is(str_of(directory), default_directory()))
		return;
	struct conf *c = load(default_directory());
	if (!is_listed(c, "alternate_config_directories", directory) &&
	    !is_listed(c, "multi_instance_directories", directory)) {
		log_error("unauthorized configuration directory name: %s", directory);
		fatal("specify \"alternate_config_directories = %s\" or "
		      "\"multi_instance_directories = %s\" in %s/main.cf",
		    directory, directory, default_directory());
	}
	conf_free(c);
}

/* A descriptor 0, 1 or 2 that is closed would be given to the log, and text for standard
 * error would go there. */
static void open_standard_descriptors(void)
{
	int fd = 0;
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	file_close(&fd);
}

void command_start(const struct command *c, const char *directory)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	open_standard_descriptors();
	fault_init(c->name);
	log_stderr_name(c->name);
	fatal_exit_status(c->fatal_status);
	if (directory == NULL)
		directory = getenv("MAIL_CONFIG");
	if (directory == NULL)
		directory = default_directory();
	check_directory(directory);
	if (setenv("MAIL_CONFIG", directory, 1) != 0)
		fatal("setenv: %s", strerror(errno));
	conf_free(command.conf); /* of an earlier start (tests) */
	command.conf = load(directory);
	if (!fill(command.conf, c, &error))
		fatal("%s", buf_cstr(&error));
	if (c->logs) {
		(c->owns_stdout ? log_setup_daemon : log_setup)(&command.common, c->name);
		log_also_stderr(true);
	}
}

bool command_reload(const struct command *c)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	CLEANUP(buf_free) struct buf ignored = BUF_INIT(ERROR_MAX);
	struct conf *fresh = conf_load(command_directory(), &error);
	if (fresh != NULL && fill(fresh, c, &error)) {
		conf_free(command.conf);
		command.conf = fresh;
		return true;
	}
	log_error("%s", buf_cstr(&error));
	if (fresh == NULL)
		return false;
	/* It may have filled a part: back to what was good before. */
	ENSURE(fill(command.conf, c, &ignored));
	conf_free(fresh);
	return false;
}

void command_enter_queue(void)
{
	if (chdir(command.common.queue_directory) != 0)
		fatal("chdir %s: %s", command.common.queue_directory, strerror(errno));
	queue_dir_configure(str_of(command.common.hash_queue_names),
	    (unsigned)command.common.hash_queue_depth);
}
