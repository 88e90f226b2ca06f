/* Rows of master.cf into services. At a reload sockets that stay the same stay open. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "master/master.h"
#include "service/command.h"
#include "service/jail_default.h"

#define FILE_ARENA         (4 * 1024 * 1024)
#define PATH_ROOM          4096
#define DESCRIPTOR_RESERVE 64

/*
 * How maxproc is to be read. Mostly it bounds clients. Programs that carried many clients
 * a process in Postfix already keep it as a number of processes. `most` clients a process
 * where nobody says otherwise: one where it forks and blocks for a client; some where
 * only a table blocks, so that a slow one does not hold up all.
 */
#define MOST_OF_VIRTUAL 20
struct program_style {
	const char *program;
	bool processes;
	uint32_t most; /* 0: service_client_limit */
};

static const struct program_style styles[] = {
    {"local", false, 1},
    {"virtual", false, MOST_OF_VIRTUAL},
    {"pipe", false, 1},
    {"spawn", false, 1},
    {"qmgr", true, 0},
    {"pickup", true, 0},
    {"trivial-rewrite", true, 0},
    {"proxymap", true, 0},
    {"tlsmgr", true, 0},
    {"verify", true, 0},
    {"anvil", true, 0},
    {"scache", true, 0},
};

static const struct program_style *style_of(const char *program)
{
	static const struct program_style usual = {"", false, 0};
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
		if (strcmp(program, styles[i].program) == 0)
			return &styles[i];
	return &usual;
}

/* Services that a master.cf lacks get a row from here, if their program is there. */
static const char built_in_rows[] = "postlog unix-dgram n - n - 1 postlogd\n";

/* Without a log file nobody sends it anything. */
static bool is_wanted(const struct master_row *built_in)
{
	return strcmp(built_in->name, "postlog") != 0 ||
	    master.common.maillog_file[0] != '\0';
}

static struct row *find(const char *key)
{
	struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		if (strcmp(r->key, key) == 0)
			return r;
	return NULL;
}

static char *format(const char *a, const char *separator, const char *b)
{
	size_t size = strlen(a) + strlen(separator) + strlen(b) + 1;
	char *text = memory_alloc(size);
	(void)snprintf(text, size, "%s%s%s", a, separator, b);
	return text;
}

/* "<service>_client_limit" for the row, or for the program. */
static uint32_t client_limit(const struct master_row *source)
{
	const char *names[] = {source->name, source->command};
	uint32_t most = style_of(source->command)->most;
	int64_t limit = master.common.service_client_limit;
	if (most > 0 && limit > most)
		limit = most;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *parameter = format(names[i], "_client_limit", "");
		int64_t value;
		if (conf_is_set(command_conf(), str_of(parameter)) &&
		    conf_get_int(command_conf(), str_of(parameter), limit, &value) &&
		    value > 0) {
			limit = value;
			free(parameter);
			break;
		}
		free(parameter);
	}
	return (uint32_t)(limit < UINT32_MAX ? limit : UINT32_MAX);
}

/* A client of a stream service needs a descriptor; the reserve is for all else. */
static uint32_t fitting_limit(const struct row *r, uint32_t limit)
{
	int64_t most = master.descriptors - DESCRIPTOR_RESERVE;
	if (most < 1)
		most = 1;
	if (limit <= most)
		return limit;
	log_warning("service %s: %u clients a process do not fit into %lld open files: "
		    "the limit is now %lld",
	    r->name, limit, (long long)master.descriptors, (long long)most);
	return (uint32_t)most;
}

static uint32_t client_total(const struct master_row *source, uint32_t limit)
{
	int64_t total = source->maxproc == MASTER_DEFAULT
	    ? master.params.default_process_limit
	    : source->maxproc;
	if (style_of(source->command)->processes)
		total = total < INT32_MAX ? total * limit : INT32_MAX;
	return (uint32_t)(total < INT32_MAX ? total : INT32_MAX);
}

static char **copy_arguments(const struct master_row *source)
{
	char **copy = memory_alloc_array(source->argument_count + 1, sizeof(char *));
	for (size_t i = 0; i < source->argument_count; i++)
		copy[i] = memory_copy_cstr(source->arguments[i]);
	return copy;
}

static void free_arguments(char **arguments)
{
	for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
		free(arguments[i]);
	free(arguments);
}

static void wake(void *argument)
{
	struct row *r = argument;
	children_wakeup(r);
	run_timer_set(r->wakeup_timer, deadline_after_seconds(r->wakeup));
}

static bool has_program(const struct master_row *row)
{
	struct stat status;
	char *path = format(master.daemons, "/", row->command);
	bool found = stat(path, &status) == 0;
	free(path);
	return found;
}

static bool is_jailed(const struct master_row *source)
{
	if (jail_default_applies(command_conf(), source) && !master.owner.single_user)
		log_info("%s/master.cf: line %u: using backwards-compatible default "
			 "setting chroot=y",
		    master.directory, source->line);
	return jail_default_is_jailed(command_conf(), source);
}

/* What may change at a reload while the sockets stay. */
static void take_settings(struct row *r, const struct master_row *source)
{
	if (strcmp(r->name, source->name) != 0) { /* "25" in place of "smtp" */
		free(r->name);
		r->name = memory_copy_cstr(source->name);
	}
	free(r->program);
	free_arguments(r->arguments);
	r->program = format(master.daemons, "/", source->command);
	r->arguments = copy_arguments(source);
	r->unpriv = source->unpriv != 0;
	r->chroot = is_jailed(source);
	r->limit = fitting_limit(r, client_limit(source));
	r->clients = client_total(source, r->limit);
	r->wakeup = source->wakeup == MASTER_DEFAULT ? 0 : source->wakeup;
	r->wakeup_if_used = source->wakeup_if_used;
	r->missing = !has_program(source);
	run_timer_set(r->wakeup_timer, r->wakeup > 0 ? clock_ms() : CLOCK_NEVER);
}

static char *socket_path(const struct master_row *source)
{
	bool is_private = source->is_private != 0;
	return format(is_private ? "private" : "public", "/", source->name);
}

static struct row *row_new(
    const char *key, const struct master_row *source, const char *endpoints)
{
	struct row *r = memory_alloc(sizeof(*r));
	struct ipc_client_options options = {.idle_ms = 1000, .ttl_ms = 1000};
	r->key = memory_copy_cstr(key);
	r->name = memory_copy_cstr(source->name);
	r->type = memory_copy_cstr(source->type_name);
	r->kind = source->type;
	r->endpoints = memory_copy_cstr(endpoints);
	list_init(&r->children);
	r->wakeup_timer = run_timer_new(wake, r);
	if (source->type != MASTER_INET)
		r->path = socket_path(source);
	if (source->type == MASTER_UNIX || source->type == MASTER_FIFO) {
		r->wakeup_client = ipc_client_new(r->path, r->name, &options);
	}
	list_append(&master.rows, &r->link);
	return r;
}

static void row_free(struct row *r)
{
	list_remove(&r->link);
	sockets_close(r);
	run_timer_free(r->wakeup_timer);
	run_timer_free(r->throttle_timer);
	run_timer_free(r->stress_timer);
	ipc_client_free(r->wakeup_client);
	free_arguments(r->arguments);
	free(r->endpoints);
	free(r->program);
	free(r->path);
	free(r->type);
	free(r->name);
	free(r->key);
	free(r);
}

void row_drop_if_gone(struct row *r)
{
	if (r->stale && list_empty(&r->children))
		row_free(r);
}

static bool is_disabled(const struct master_row *source)
{
	struct str names = str_of(master.params.master_service_disable), name;
	struct str type = str_of(source->type_name), service = str_of(source->name);
	while (str_next(&names, " \t\r\n,", &name)) {
		ptrdiff_t at = str_find_last(name, '/');
		if (at < 0 ? str_equal(name, type)
			   : str_equal(str_slice(name, 0, (size_t)at), service) &&
			    str_equal(str_skip(name, (size_t)at + 1), type))
			return true;
	}
	return false;
}

/* Where a row shall listen. What listens elsewhere closes, here and in the processes that
 * have it too. */
static void claim(const struct master_row *source, const char *key, bool shared)
{
	CLEANUP(buf_free) struct buf endpoints = BUF_INIT(65536);
	if (is_disabled(source) || !sockets_describe(source, &endpoints))
		return;
	struct row *r = find(key);
	bool same = r != NULL && strcmp(r->endpoints, buf_cstr(&endpoints)) == 0;
	if (r != NULL && !same) {
		children_signal(r, SIGTERM);
		sockets_close(r);
		free(r->endpoints);
		r->endpoints = memory_copy_cstr(buf_cstr(&endpoints));
	}
	if (r == NULL)
		r = row_new(key, source, buf_cstr(&endpoints));
	r->stale = false;
	if (shared && !r->shared)
		sockets_share(r);
}

/* Its settings, and its sockets unless they are open. */
static void apply(const struct master_row *source, const char *key)
{
	struct row *r = find(key);
	if (r == NULL || r->stale) /* disabled, or nobody knows where it is */
		return;
	take_settings(r, source);
	if (r->listener_count == 0 && !sockets_open(r) && master.starting)
		exit(1); /* the reason is logged */
	children_retire(r);
	children_watch(r);
}

/* --- the rows of a file --- */

/* Rows of one service, however its port is written, have one key. */
struct rows {
	const struct master_cf *cf;
	const char **keys;
	struct map *last; /* key -> the last row with it */
};

static const char *row_key(const struct master_row *source, struct arena *a)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(PATH_ROOM + 65536);
	sockets_name(source, &name);
	return arena_printf(a, "%s/%s", source->type_name, buf_cstr(&name));
}

static void warn_of_duplicates(
    const struct master_row *source, const char *key, unsigned times)
{
	const char *where = strchr(key, '/') + 1;
	while (times-- > 0)
		log_warning("duplicate master.cf entry for service \"%s\" (%s) -- using "
			    "the last entry",
		    source->type == MASTER_INET ? where : source->name, where);
}

/* False: no memory. */
static bool index_rows(struct rows *rows, struct arena *a)
{
	rows->keys = arena_alloc_array(a, rows->cf->count + 1, sizeof(*rows->keys));
	for (size_t i = 0; rows->keys != NULL && i < rows->cf->count; i++) {
		struct master_row *row = &rows->cf->rows[i];
		rows->keys[i] = row_key(row, a);
		if (rows->keys[i] == NULL)
			return false;
		bool again = map_set(rows->last, str_of(rows->keys[i]), row) != NULL;
		warn_of_duplicates(row, rows->keys[i], row->replaced + again);
	}
	return rows->keys != NULL;
}

static bool is_last(const struct rows *rows, size_t i)
{
	return map_get(rows->last, str_of(rows->keys[i])) == &rows->cf->rows[i];
}

static struct str port_of(const char *key)
{
	struct str text = str_of(key);
	ptrdiff_t colon = str_find_last(text, ':');
	return str_skip(
	    text, (size_t)(colon >= 0 ? colon : str_find_last(text, '/')) + 1);
}

/* Another row has this port too: for another address, or for all. */
static bool shares_port(const struct rows *rows, size_t i)
{
	for (size_t j = 0; j < rows->cf->count; j++)
		if (j != i && rows->cf->rows[j].type == MASTER_INET && is_last(rows, j) &&
		    str_equal(port_of(rows->keys[i]), port_of(rows->keys[j])))
			return true;
	return false;
}

static void claim_all(const struct rows *rows)
{
	for (size_t i = 0; i < rows->cf->count; i++) {
		const struct master_row *row = &rows->cf->rows[i];
		if (is_last(rows, i))
			claim(row, rows->keys[i],
			    row->type == MASTER_INET && shares_port(rows, i));
	}
}

static void apply_all(const struct rows *rows)
{
	for (size_t i = 0; i < rows->cf->count; i++)
		if (is_last(rows, i))
			apply(&rows->cf->rows[i], rows->keys[i]);
}

/* Rows that are gone: their sockets close at once, their processes end. */
static void drop_stale(void)
{
	struct row *r, *after;
	LIST_FOREACH_SAFE (r, after, &master.rows, struct row, link) {
		if (!r->stale)
			continue;
		children_signal(r, SIGTERM);
		sockets_close(r);
		run_timer_set(r->wakeup_timer, CLOCK_NEVER);
		row_drop_if_gone(r);
	}
}

static bool has_row(const struct master_cf *cf, const struct master_row *row)
{
	return master_cf_find(cf, str_of(row->name), str_of(row->type_name)) != NULL;
}

/* Those of built_in_rows that are wanted and that the file lacks. */
struct built_in {
	struct master_cf cf; /* without the others */
	const char **keys;
};

static void find_built_in(
    const struct master_cf *cf, struct arena *a, struct built_in *found_r)
{
	struct master_cf own;
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	if (!master_cf_parse(str_of(built_in_rows), "built-in rows", a, &own, &error)) {
		log_error("%s", buf_cstr(&error));
		return;
	}
	const char **keys = arena_alloc_array(a, own.count + 1, sizeof(*keys));
	size_t count = 0;
	for (size_t i = 0; keys != NULL && i < own.count; i++) {
		if (has_row(cf, &own.rows[i]) || !is_wanted(&own.rows[i]) ||
		    !has_program(&own.rows[i]))
			continue;
		own.rows[count] = own.rows[i];
		keys[count] = row_key(&own.rows[count], a);
		count += keys[count] != NULL;
	}
	own.count = count;
	*found_r = (struct built_in){.cf = own, .keys = keys};
}

/*
 * First all that shall not listen any more closes, then what is new opens: a port or a
 * path may go from one row to another. Rows that stay keep their sockets, with the
 * clients that wait in them.
 */
static void replace_rows(const struct rows *rows, const struct built_in *own)
{
	struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		r->stale = true;
	claim_all(rows);
	for (size_t i = 0; i < own->cf.count; i++)
		claim(&own->cf.rows[i], own->keys[i], false);
	drop_stale();
	apply_all(rows);
	for (size_t i = 0; i < own->cf.count; i++)
		apply(&own->cf.rows[i], own->keys[i]);
}

/* One line for all, and again only when it is another one. */
static void report_missing(void)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(LOG_LINE_MAX);
	const struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		if (r->missing && !r->stale)
			buf_printf(&text, "%s%s (%s)", text.len > 0 ? ", " : "", r->name,
			    strrchr(r->program, '/') + 1);
	bool again =
	    master.missing != NULL && strcmp(master.missing, buf_cstr(&text)) == 0;
	if (text.len > 0 && !again)
		log_warning(
		    "%s/master.cf: services whose program is not in %s, and whose "
		    "clients are refused: %s",
		    master.directory, master.daemons, buf_cstr(&text));
	free(master.missing);
	master.missing = memory_copy_cstr(buf_cstr(&text));
}

bool rows_load(void)
{
	char path[PATH_ROOM];
	struct master_cf cf;
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(FILE_ARENA);
	CLEANUP(map_free_cleanup) struct map *last = map_new();
	(void)snprintf(path, sizeof(path), "%s/master.cf", master.directory);
	if (!master_cf_read(path, a, &cf, &error)) {
		log_error("%s", buf_cstr(&error));
		return false;
	}
	struct rows rows = {.cf = &cf, .last = last};
	if (!index_rows(&rows, a)) {
		log_error("%s: file is too long", path);
		return false;
	}
	struct built_in own = {.keys = NULL};
	find_built_in(&cf, a, &own);
	replace_rows(&rows, &own);
	report_missing();
	return true;
}
