#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "queue/commit.h"
#include "queue/queue_dir.h"
#include "run/loop.h"
#include "run/signals.h"
#include "run/worker.h"
#include "service/log_setup.h"
#include "service/master_status.h"
#include "service/service_private.h"
#include "table/own_networks.h"
#include "table/proxy.h"

#define ERROR_MAX 4096

struct service_state service_state;

const struct common_params *service_common(void)
{
	return &service_state.common;
}

struct address_extension_rules service_extension_rules(void)
{
	const struct common_params *p = service_common();
	return (struct address_extension_rules){.delimiters = p->recipient_delimiter,
	    .double_bounce = p->double_bounce_sender,
	    .owner_request_special = p->owner_request_special};
}

struct conf *service_conf(void)
{
	return service_state.conf;
}

char *const *service_attributes(void)
{
	return service_state.options.attributes;
}

const char *service_name(void)
{
	return service_state.options.name;
}

bool service_is_stress(void)
{
	return service_state.stress;
}

/* --- configuration --- */

static void fill(const struct param *table, void *values)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	if (table != NULL && !conf_fill(service_state.conf, table, values, &error))
		fatal("%s", buf_cstr(&error));
}

static void load_configuration(const struct service *s, struct buf *bad_option)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERROR_MAX);
	const char *directory = getenv("MAIL_CONFIG");
	if (directory == NULL)
		directory = param_find(STR("config_directory"))->initial;
	service_state.conf = conf_load(directory, &text);
	if (service_state.conf == NULL)
		fatal("%s", buf_cstr(&text));
	struct conf *c = service_state.conf;
	buf_printf(&text, "%d", (int)getpid());
	conf_computed(c, "process_id", buf_str(&text));
	conf_computed(c, "process_name", str_of(s->name));
	conf_computed(c, "service_name", str_of(service_name()));
	const struct service_options *o = &service_state.options;
	for (size_t i = 0; i < o->override_count; i++)
		if (!conf_override(c, str_of(o->overrides[i])) && bad_option->len == 0)
			buf_printf(bad_option, "-o %.100s: missing '='", o->overrides[i]);
	buf_clear(&text);
	if (!conf_is_set(c, STR("mynetworks")) && !own_networks_compute(c, &text))
		fatal("%s", buf_cstr(&text));
	fill(common_param_table, &service_state.common);
}

/* After the log is open: these faults are found in the daemon alone, not by master. */
static void fill_own(const struct service *s)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERROR_MAX);
	struct conf *c = service_state.conf;
	fill(s->params, s->values);
	if (s->ipc_timeout != NULL)
		service_state.common.ipc_timeout = *s->ipc_timeout;
	service_state.stress =
	    conf_get(c, STR("stress"), &text) && str_is(buf_str(&text), "yes");
}

void service_set_stress(bool stress)
{
	const struct service *s = service_state.service;
	service_state.stress = stress;
	if (!conf_override(
		service_state.conf, stress ? STR("stress=yes") : STR("stress=")))
		panic("stress cannot be set");
	fill(s->params, s->values);
}

static void set_limit(void)
{
	const struct service_options *o = &service_state.options;
	int64_t limit =
	    o->limit > 0 ? o->limit : service_state.common.service_client_limit;
	if (o->stand_alone)
		limit = 1;
	service_state.limit =
	    limit > WIRE_EXCHANGES_MAX ? WIRE_EXCHANGES_MAX : (uint32_t)limit;
}

bool service_stands_alone(void)
{
	return service_state.options.stand_alone;
}

/* --- what is inherited --- */

static void check_descriptors(const struct service_options *o)
{
	struct stat status;
	if (o->stand_alone || o->by_hand)
		return;
	if (fstat(MASTER_STATUS_FD, &status) != 0 || !S_ISSOCK(status.st_mode) ||
	    fstat(MASTER_LIFE_FD, &status) != 0 || !S_ISFIFO(status.st_mode))
		fatal(
		    "this program is started by master(8); use -d or -S to run it by hand");
	for (int i = 0; i < o->listeners; i++)
		if (fstat(MASTER_LISTEN_FD + i, &status) != 0 ||
		    !S_ISSOCK(status.st_mode))
			fatal("listening descriptor %d is missing", MASTER_LISTEN_FD + i);
}

static void start_serving(const struct service *s)
{
	const struct service_options *o = &service_state.options;
	int first = o->by_hand ? STDIN_FILENO : MASTER_LISTEN_FD;
	int count = o->by_hand ? 1 : (int)o->listeners;
	if (o->stand_alone && s->serve != NULL)
		stand_alone_start();
	else if (o->stand_alone)
		fatal("%s cannot serve standard input", s->name);
	else if (s->serve != NULL)
		stream_serving_start(first, count);
	else if (s->datagram != NULL)
		datagram_serving_start(first, count);
	else
		inner_serving_start(first, count);
}

/* As long as a daemon lives, nobody recovers the queue. Kept open for ever. */
static void lock_queue(void)
{
	int fd = file_open_at(AT_FDCWD, COMMIT_LOCK, O_RDONLY, 0);
	int error = fd >= 0 ? file_try_lock(fd, FILE_LOCK_SHARED) : fd;
	if (error != 0 && error != -ENOENT)
		fatal("lock %s: %s", COMMIT_LOCK, strerror(-error));
}

/* proxymap itself opens what others ask through it. */
static void configure_proxy(void)
{
	const struct common_params *common = &service_state.common;
	if (strcmp(service_state.service->name, "proxymap") == 0)
		return;
	table_proxy_configure(&(struct table_proxy_options){
	    .read_service = common->proxymap_service_name,
	    .write_service = common->proxywrite_service_name,
	    .timeout_ms = common->ipc_timeout * 1000,
	    .idle_ms = common->ipc_idle * 1000,
	    .ttl_ms = common->ipc_ttl * 1000,
	});
}

static void enter_queue_directory(void)
{
	if (chdir(service_state.common.queue_directory) != 0)
		fatal("chdir(%s): %s", service_state.common.queue_directory,
		    strerror(errno));
	queue_dir_configure(str_of(service_state.common.hash_queue_names),
	    (unsigned)service_state.common.hash_queue_depth);
	if (!service_state.options.stand_alone) /* it writes no queue files */
		lock_queue();
	configure_proxy();
}

/* The standard output of one that stands alone is its client's. */
static void open_log(const struct service *s)
{
	if (service_state.options.stand_alone)
		log_setup(&service_state.common, s->name);
	else
		log_setup_daemon(&service_state.common, s->name);
	log_also_stderr(service_state.options.log_to_stderr);
}

static void configure(const struct service *s, int argc, char **argv)
{
	CLEANUP(buf_free) struct buf bad_option = BUF_INIT(ERROR_MAX);
	service_options_parse(s, argc, argv, &service_state.options, &bad_option);
	load_configuration(s, &bad_option);
	open_log(s);
	if (bad_option.len > 0)
		fatal("%s", buf_cstr(&bad_option));
	fill_own(s);
}

int service_main(const struct service *s, int argc, char **argv)
{
	int ways = (s->serve != NULL) + (s->requests != NULL) + (s->exchange != NULL) +
	    (s->datagram != NULL);
	ENSURE(ways == 1);
	service_state.service = s;
	memory_keep_for_reuse();
	(void)umask(077);
	run_ignore_signal(SIGHUP);
	fault_init(s->name);
	log_setup_early(s->name);
	configure(s, argc, argv);
	check_descriptors(&service_state.options);
	set_limit();
	service_state.owner = owner_of(&service_state.common);
	owner_keep(&service_state.owner);
	enter_queue_directory();
	run_init();
	run_ignore_signal(SIGPIPE);
	if (s->no_threads)
		run_inline_only();
	if (s->before_jail != NULL)
		s->before_jail();
	service_jail(&service_state);
	if (s->started != NULL)
		s->started();
	start_serving(s);
	run_loop();
	ipc_flush();
	log_flush();
	return 0;
}
