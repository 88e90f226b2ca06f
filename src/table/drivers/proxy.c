/* proxy:type:name, asked through the proxymap service: see table/proxy.h. */
#include "table/proxy.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/ipc.h"
#include "run/fiber.h"
#include "table/driver.h"
#include "table/proxymap_message.h"

#define REQUEST_MAX (PROXYMAP_NAME_MAX + PROXYMAP_KEY_MAX + PROXYMAP_VALUE_MAX + 1000)
#define REPLY_MAX   (PROXYMAP_VALUE_MAX + PROXYMAP_ERROR_MAX + 1000)
#define PATH_ROOM   256
#define FLAGS       (TABLE_FOLD | TABLE_NO_SUBSTITUTE | TABLE_KEY_IS_LINE | TABLE_ALIASES)

/* Set once at start. */
static struct {
	struct table_proxy_options options;
	bool configured;
	struct ipc_client *readers, *writers; /* made when first needed */
} proxy;

void table_proxy_configure(const struct table_proxy_options *options)
{
	proxy.options = *options;
	proxy.configured = true;
}

struct proxied {
	char *name; /* of the table behind */
	unsigned flags;
	struct table *direct; /* opened here: no service is asked */
	bool fixed;
};

static struct ipc_client *client(struct ipc_client **made, const char *service)
{
	char path[PATH_ROOM];
	const struct ipc_client_options options = {
	    .idle_ms = proxy.options.idle_ms,
	    .ttl_ms = proxy.options.ttl_ms,
	};
	if (*made == NULL) {
		(void)snprintf(path, sizeof(path), "private/%s", service);
		*made = ipc_client_new(path, service, &options);
	}
	return *made;
}

/* What the table most likely is, until the service has answered. */
static bool guess_fixed(struct str name)
{
	ptrdiff_t colon = str_find(name, ':');
	const struct table_driver *driver =
	    table_driver_find(str_slice(name, 0, colon < 0 ? 0 : (size_t)colon));
	return driver != NULL && (driver->fixed || driver->is_fixed != NULL);
}

static void close_proxy(void *state)
{
	struct proxied *p = state;
	table_close(p->direct);
	free(p->name);
	free(p);
}

static void *open_proxy(struct str name, unsigned flags, struct buf *error)
{
	CLEANUP(buf_free) struct buf copy = BUF_INIT(PROXYMAP_NAME_MAX);
	while (str_starts(name, STR("proxy:")))
		name = str_skip(name, strlen("proxy:"));
	buf_add_str(&copy, name);
	if (!buf_ok(&copy) || str_find(name, ':') <= 0) {
		buf_printf(error,
		    "open dictionary: expecting \"type:name\" form instead of \"%.*s\"",
		    STR_ARG(str_slice(name, 0, 200)));
		return NULL;
	}
	struct proxied *p = memory_alloc(sizeof(*p));
	p->name = memory_copy_cstr(buf_cstr(&copy));
	p->flags = flags;
	p->fixed = guess_fixed(name);
	if (proxy.configured && !(flags & TABLE_TRUSTED))
		return p;
	p->direct = table_open(name, flags);
	if (table_error(p->direct) == NULL)
		return p;
	buf_add_cstr(error, table_error(p->direct));
	close_proxy(p);
	return NULL;
}

/* --- the service --- */

static enum table_result trouble(
    const struct proxied *p, const char *what, struct buf *error)
{
	buf_printf(error, "proxy:%s: %s", p->name, what);
	return TABLE_TRY_LATER;
}

static enum table_result take_reply(struct proxied *p, const struct proxymap_reply *reply,
    struct buf *value, struct buf *error)
{
	p->fixed = reply->fixed;
	switch ((enum proxymap_result)reply->result) {
	case PROXYMAP_FOUND:
		if (value != NULL)
			buf_add_str(value, reply->value);
		return TABLE_FOUND;
	case PROXYMAP_ABSENT:
		return TABLE_ABSENT;
	case PROXYMAP_TRY_LATER:
		buf_add_str(error, reply->error);
		return TABLE_TRY_LATER;
	case PROXYMAP_BROKEN:
		buf_add_str(error, reply->error);
		return TABLE_BROKEN;
	case PROXYMAP_DENIED:
		buf_printf(error, "%s service is not configured for table \"%s\"",
		    p->flags & TABLE_UPDATE ? proxy.options.write_service
					    : proxy.options.read_service,
		    p->name);
		log_warning("%s", buf_cstr(error));
		return TABLE_BROKEN;
	}
	return trouble(p, "malformed answer", error);
}

static enum table_result ask(struct proxied *p, struct proxymap_request *request,
    struct buf *value, struct buf *error)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(REQUEST_MAX);
	CLEANUP(buf_free) struct buf answer = BUF_INIT(REPLY_MAX);
	struct proxymap_reply reply;
	bool update = (p->flags & TABLE_UPDATE) != 0;
	if (fiber_self() == NULL)
		return trouble(p, "the service cannot be asked now", error);
	struct ipc_client *service = update
	    ? client(&proxy.writers, proxy.options.write_service)
	    : client(&proxy.readers, proxy.options.read_service);
	request->flags = p->flags & FLAGS;
	request->table = str_of(p->name);
	proxymap_request_write(&bytes, request);
	if (!buf_ok(&bytes))
		return request->operation == PROXYMAP_LOOKUP
		    ? TABLE_ABSENT /* no table has such a key */
		    : trouble(p, "key or value is too long", error);
	int status = ipc_call(service, proxymap_request_type, IPC_SAFE, buf_str(&bytes),
	    proxymap_reply_type, &answer, deadline_after_ms(proxy.options.timeout_ms));
	if (status != 0)
		return trouble(p, strerror(-status), error);
	struct arena *arena = arena_new(1024);
	bool good = proxymap_reply_read(buf_str(&answer), arena, &reply);
	arena_free(arena);
	return good ? take_reply(p, &reply, value, error)
		    : trouble(p, "malformed answer", error);
}

static enum table_result pass(
    const struct proxied *p, enum table_result result, struct buf *error)
{
	if (table_error(p->direct) != NULL)
		buf_add_cstr(error, table_error(p->direct));
	return result;
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, struct buf *error)
{
	struct proxied *p = state;
	struct proxymap_request request = {.operation = PROXYMAP_LOOKUP, .key = key};
	if (p->direct != NULL)
		return pass(p, table_lookup(p->direct, key, value), error);
	return ask(p, &request, value, error);
}

static enum table_result update(
    void *state, struct str key, struct str value, struct buf *error)
{
	struct proxied *p = state;
	struct proxymap_request request = {
	    .operation = PROXYMAP_UPDATE, .key = key, .value = value};
	if (p->direct != NULL)
		return pass(p, table_update(p->direct, key, value), error);
	return ask(p, &request, NULL, error);
}

static enum table_result forget(void *state, struct str key, struct buf *error)
{
	struct proxied *p = state;
	struct proxymap_request request = {.operation = PROXYMAP_REMOVE, .key = key};
	if (p->direct != NULL)
		return pass(p, table_remove(p->direct, key), error);
	return ask(p, &request, NULL, error);
}

static bool commit(void *state, struct buf *error)
{
	struct proxied *p = state;
	if (p->direct == NULL || table_commit(p->direct))
		return true;
	(void)pass(p, TABLE_BROKEN, error);
	return false;
}

static enum table_result next(
    void *state, bool first, struct buf *key, struct buf *value, struct buf *error)
{
	struct proxied *p = state;
	if (p->direct != NULL)
		return pass(p, table_next(p->direct, first, key, value), error);
	buf_printf(error, "table proxy:%s: sequence operation is not supported", p->name);
	return TABLE_BROKEN;
}

static bool changed(void *state)
{
	const struct proxied *p = state;
	return p->direct != NULL && table_changed(p->direct);
}

static bool is_fixed(const void *state)
{
	const struct proxied *p = state;
	return p->direct != NULL ? table_is_fixed(p->direct) : p->fixed;
}

const struct table_driver table_driver_proxy = {
    .type = "proxy",
    .is_fixed = is_fixed,
    .open = open_proxy,
    .close = close_proxy,
    .lookup = lookup,
    .update = update,
    .remove = forget,
    .next = next,
    .commit = commit,
    .changed = changed,
};
