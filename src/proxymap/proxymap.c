/*
 * proxymap: answers questions to tables for services that are jailed, or that should not
 * each have every table open; under the name proxywrite it also changes tables, and is
 * the only one that does.
 *
 * Reads from strangers: keys, which other services hand on. Runs as mail_owner, must not
 * be jailed. Serves only what proxy_read_maps (proxy_write_maps) names. If it died here,
 * the same question would be asked again.
 */
#include "table/proxymap_message.h"

#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "proxymap/approved.h"
#include "proxymap_params.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "service/service.h"
#include "table/table.h"

#define NAME_ROOM (PROXYMAP_NAME_MAX + 20)
#define FLAGS     (TABLE_FOLD | TABLE_NO_SUBSTITUTE | TABLE_KEY_IS_LINE | TABLE_ALIASES)

static struct {
	struct proxymap_params params;
	bool writes; /* this is proxywrite */
	struct map *approved;
	struct map *open; /* "flags type:name" -> table; no more than are approved */
} proxymap;

/* --- tables --- */

struct opening {
	struct str name;
	unsigned flags;
	struct table *table;
	struct fiber *waits;
};

/* Patterns are compiled on the main stack, not on a fiber's. */
static void open_now(void *argument)
{
	struct opening *o = argument;
	o->table = table_open(o->name, o->flags);
	fiber_wake(o->waits);
}

static struct table *table_for(const struct proxymap_request *request)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(NAME_ROOM);
	unsigned flags = request->flags & FLAGS;
	if (proxymap.writes)
		flags |= TABLE_UPDATE;
	buf_printf(&key, "%u %.*s", flags, STR_ARG(request->table));
	struct table *table = map_get(proxymap.open, buf_str(&key));
	if (table != NULL)
		return table;
	struct opening o = {
	    .name = request->table, .flags = flags, .waits = fiber_self()};
	run_soon(open_now, &o);
	while (o.table == NULL)
		(void)fiber_sleep_until(CLOCK_NEVER);
	table = map_get(proxymap.open, buf_str(&key));
	if (table != NULL) { /* somebody else opened it meanwhile, and uses it */
		table_close(o.table);
		return table;
	}
	(void)map_set(proxymap.open, buf_str(&key), o.table);
	return o.table;
}

/* --- requests --- */

static bool refuse(const struct proxymap_request *request)
{
	log_warning("request for unapproved table: \"%.*s\"", STR_ARG(request->table));
	log_warning("to approve this table for %s access, list proxy:%.*s in "
		    "main.cf:%s",
	    proxymap.writes ? "read-write" : "read-only", STR_ARG(request->table),
	    proxymap.writes ? "proxy_write_maps" : "proxy_read_maps");
	return false;
}

static bool is_allowed(const struct proxymap_request *request)
{
	if (request->operation != PROXYMAP_LOOKUP && !proxymap.writes) {
		log_warning("refusing %s request on non-%s service",
		    request->operation == PROXYMAP_UPDATE ? "update" : "delete",
		    service_common()->proxywrite_service_name);
		return false;
	}
	return approved_has(proxymap.approved, request->table) || refuse(request);
}

static enum table_result change(
    struct table *t, const struct proxymap_request *request, bool update)
{
	enum table_result result = update ? table_update(t, request->key, request->value)
					  : table_remove(t, request->key);
	if (result == TABLE_FOUND && !table_commit(t))
		return TABLE_TRY_LATER;
	return result;
}

static enum proxymap_result result_of(enum table_result result)
{
	switch (result) {
	case TABLE_FOUND:
		return PROXYMAP_FOUND;
	case TABLE_ABSENT:
		return PROXYMAP_ABSENT;
	case TABLE_TRY_LATER:
		return PROXYMAP_TRY_LATER;
	case TABLE_BROKEN:
		break;
	}
	return PROXYMAP_BROKEN;
}

static void answer(const struct proxymap_request *request, struct proxymap_reply *reply,
    struct buf *value, struct buf *error)
{
	if (!is_allowed(request)) {
		reply->result = PROXYMAP_DENIED;
		return;
	}
	struct table *t = table_for(request);
	enum table_result result = request->operation == PROXYMAP_LOOKUP
	    ? table_lookup(t, request->key, value)
	    : change(t, request, request->operation == PROXYMAP_UPDATE);
	reply->result = (uint8_t)result_of(result);
	reply->fixed = table_is_fixed(t);
	if (result != TABLE_FOUND && table_error(t) != NULL)
		buf_add_cstr(error, table_error(t));
	reply->error = str_slice(buf_str(error), 0, PROXYMAP_ERROR_MAX);
	if (result == TABLE_FOUND && value->len <= PROXYMAP_VALUE_MAX) {
		reply->value = buf_str(value);
	} else if (result == TABLE_FOUND) {
		reply->result = PROXYMAP_BROKEN;
		reply->error = STR("result is too long for the proxymap service");
	}
}

static bool serve(struct service_call *call)
{
	struct proxymap_request request;
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(PROXYMAP_ERROR_MAX * 2);
	struct proxymap_reply reply = {.value = STR_EMPTY, .error = STR_EMPTY};
	if (!proxymap_request_read(call->payload, call->arena, &request) ||
	    request.operation > PROXYMAP_REMOVE)
		return false;
	answer(&request, &reply, &value, &error);
	proxymap_reply_write(call->reply, &reply);
	return true;
}

static const struct service_request requests[] = {
    {proxymap_request_type, proxymap_reply_type, serve},
    {0},
};

static bool stale(void)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(proxymap.open, &at, &key, &value))
		if (table_changed(value)) {
			log_info("table %s has changed -- restarting", table_name(value));
			return true;
		}
	return false;
}

static void before_jail(void)
{
	proxymap.writes =
	    strcmp(service_name(), service_common()->proxywrite_service_name) == 0;
	proxymap.approved = map_new();
	proxymap.open = map_new();
	approved_add(proxymap.approved,
	    str_of(proxymap.writes ? proxymap.params.proxy_write_maps
				   : proxymap.params.proxy_read_maps));
}

static const struct service proxymap_service = {
    .name = "proxymap",
    .params = proxymap_param_table,
    .values = &proxymap.params,
    .sandbox = SANDBOX_TABLE,
    .before_jail = before_jail,
    .requests = requests,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&proxymap_service, argc, argv);
}
