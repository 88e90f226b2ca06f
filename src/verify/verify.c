/*
 * verify: knows which addresses can be delivered to. What it does not know, or has known
 * for long, it finds out with a probe, a message that travels as any other and is never
 * delivered; the agent that would have delivered it tells how far it came.
 *
 * Reads from strangers: addresses, handed on by smtpd; texts of agents, which are words
 * of other mail systems; a cache file. Runs as mail_owner, may be jailed: the cache is
 * opened before. If it died here, smtpd would ask again, and at worst a probe is sent
 * twice.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "client/own_mail.h"
#include "client/service_client.h"
#include "mail/verify_sender.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "service/owner.h"
#include "service/service.h"
#include "table/cache.h"
#include "verify/entry.h"
#include "verify_params.h"

/* More are not sent at once: cleanup would be busy with nothing else. Who asks will ask
 * again. */
#define SENDING_MAX 100
#define WALK_SLICE  100 /* entries, then others have their turn */
#define PROBE_STOCK 4
/* Its key in the cache, which is Postfix's too. */
#define IN_MEMORY    "internal:verify"
#define LAST_CLEANUP "_LAST_CACHE_CLEANUP_COMPLETED_"

static struct {
	struct verify_params params;
	struct entry_times times;
	struct verify_sender sender;
	struct cache *cache;
	struct cleanup_client *cleanup;
	unsigned sending; /* probes on their way to cleanup */
} verify;

/* --- the cache --- */

static void trouble(const char *what, struct str address)
{
	log_warning("%s: %s for '%.*s' failed: %s", cache_name(verify.cache), what,
	    STR_ARG(address), cache_error(verify.cache));
}

/* What is not there, or cannot be read, is unknown. `e_r` borrows from `value`. */
static void recall(struct str address, struct buf *value, struct entry *e_r)
{
	struct entry unknown = {.status = VERIFY_UNKNOWN};
	*e_r = unknown;
	enum table_result result = cache_lookup(verify.cache, address, value);
	if (result == TABLE_BROKEN || result == TABLE_TRY_LATER)
		trouble("lookup", address);
	else if (result == TABLE_FOUND && !entry_parse(buf_str(value), e_r))
		log_warning("%s: malformed entry for '%.*s'", cache_name(verify.cache),
		    STR_ARG(address));
}

static void remember(struct str address, const struct entry *e)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(ENTRY_VALUE_MAX);
	entry_write(&value, e);
	if (!cache_put(verify.cache, address, buf_str(&value)))
		trouble("update", address);
}

static void forget(struct str address)
{
	if (!cache_remove(verify.cache, address))
		trouble("removal", address);
}

/* --- probes --- */

struct probe {
	struct buf address;
};

/* Nobody would answer it: the next one who asks may have another sent. */
static void probe_failed(struct str address, int error)
{
	struct entry e;
	CLEANUP(buf_free) struct buf value = BUF_INIT(ENTRY_VALUE_MAX);
	log_warning(
	    "cannot send a probe to %.*s: %s", STR_ARG(address), strerror(-error));
	recall(address, &value, &e);
	e.probed = 0;
	if (e.status == VERIFY_UNKNOWN)
		forget(address);
	else
		remember(address, &e);
}

static void send_probe(void *argument)
{
	char id[64];
	struct probe *p = argument;
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	verify_sender_write(&sender, &verify.sender, clock_wall_seconds());
	struct own_mail mail = {
	    .sender = buf_str(&sender),
	    .recipient = buf_str(&p->address),
	    .trace_flags = QUEUE_TRACE_VERIFY,
	};
	int error = own_mail_send(verify.cleanup, service_common(), &mail, id);
	if (error != 0)
		probe_failed(buf_str(&p->address), error);
	buf_free(&p->address);
	free(p);
	verify.sending--;
}

static bool start_probe(struct str address)
{
	if (verify.sending >= SENDING_MAX)
		return false;
	struct probe *p = memory_alloc(sizeof(*p));
	buf_init(&p->address, ADDRESS_MAX);
	buf_add_str(&p->address, address);
	if (fiber_start("probe", send_probe, p) == 0) {
		verify.sending++;
		return true;
	}
	buf_free(&p->address);
	free(p);
	return false;
}

/* --- requests --- */

static bool answer(struct service_call *call, enum verify_status status, struct str text)
{
	verify_reply_write(
	    call->reply, &(struct verify_reply){.status = (uint8_t)status, .text = text});
	return true;
}

static bool serve_query(struct service_call *call)
{
	struct verify_query request;
	struct entry e;
	int64_t now = clock_wall_seconds();
	CLEANUP(buf_free) struct buf value = BUF_INIT(ENTRY_VALUE_MAX);
	if (!verify_query_read(call->payload, call->arena, &request) ||
	    request.address.len == 0)
		return false;
	/* A cache file has no room for such a name, and mail none either (RFC 5321
	 * 4.5.3.1): it would be probed at each question. */
	if (request.address.len > CACHE_KEY_MAX)
		return answer(
		    call, VERIFY_TRY_LATER, STR("address is too long to be verified"));
	recall(request.address, &value, &e);
	entry_expire(&e, &verify.times, now);
	(void)answer(call, e.status, e.text);
	if (entry_wants_probe(&e, &verify.times, now) && start_probe(request.address)) {
		e.probed = now;
		remember(request.address, &e);
	}
	return true;
}

static bool serve_update(struct service_call *call)
{
	struct verify_update request;
	struct entry e;
	CLEANUP(buf_free) struct buf value = BUF_INIT(ENTRY_VALUE_MAX);
	if (!verify_update_read(call->payload, call->arena, &request) ||
	    request.address.len == 0 || request.status >= VERIFY_UNKNOWN)
		return false;
	recall(request.address, &value, &e);
	entry_update(&e, (enum verify_status)request.status, request.text, &verify.times,
	    clock_wall_seconds());
	if (e.status == VERIFY_DELIVERABLE ||
	    service_common()->address_verify_negative_cache)
		remember(request.address, &e);
	else
		forget(request.address);
	return answer(call, (enum verify_status)request.status, request.text);
}

static const struct service_request requests[] = {
    {verify_query_type, verify_reply_type, serve_query},
    {verify_update_type, verify_reply_type, serve_update},
    {0},
};

/* --- now and then --- */

static bool is_useless(struct str value, int64_t now)
{
	struct entry e;
	return !entry_parse(value, &e) || entry_is_useless(&e, &verify.times, now);
}

/* False: the cache could not be read to its end. */
static bool clean_up(void)
{
	size_t at = 0, retained = 0, dropped = 0;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX);
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result result;
	while ((result = cache_next(verify.cache, &at, &key, &value)) == TABLE_FOUND) {
		if (str_is(buf_str(&key), LAST_CLEANUP))
			continue;
		if (is_useless(buf_str(&value), clock_wall_seconds())) {
			forget(buf_str(&key));
			dropped++;
		} else {
			retained++;
		}
		if ((retained + dropped) % WALK_SLICE == 0)
			fiber_yield();
	}
	if (result != TABLE_ABSENT)
		trouble("walk", buf_str(&key));
	log_info("cache %s %s cleanup: retained=%zu dropped=%zu entries",
	    cache_name(verify.cache), result == TABLE_ABSENT ? "full" : "partial",
	    retained, dropped);
	return result == TABLE_ABSENT;
}

/* Seconds until it is time, 0 at once; the last time stands in the cache. */
static int64_t until_cleanup(void)
{
	int64_t last = 0, now = clock_wall_seconds();
	int64_t interval = verify.params.address_verify_cache_cleanup_interval;
	CLEANUP(buf_free) struct buf value = BUF_INIT(64);
	if (cache_lookup(verify.cache, STR(LAST_CLEANUP), &value) != TABLE_FOUND ||
	    !str_to_range(buf_str(&value), 0, now, &last))
		return 0;
	return last + interval > now ? last + interval - now : 0;
}

static void note_cleanup(void)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(32);
	buf_add_i64(&value, clock_wall_seconds());
	if (!cache_put(verify.cache, STR(LAST_CLEANUP), buf_str(&value)))
		trouble("update", STR(LAST_CLEANUP));
}

static void clean_up_at_times(UNUSED void *argument)
{
	for (;;) {
		fiber_sleep_ms(until_cleanup() * 1000);
		if (service_draining())
			return;
		if (!clean_up())
			fiber_sleep_ms(1000);
		note_cleanup();
	}
}

/* --- start --- */

/* As who owns the directory, whose files are none of root's business. */
static void open_cache(void)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	struct owner owner = owner_of(service_common());
	uid_t before = geteuid();
	if (!owner.single_user && before == 0 && seteuid(owner.uid) != 0)
		fatal("set effective user id %u: %s", owner.uid, strerror(errno));
	struct str name = str_trim(str_of(verify.params.address_verify_map));
	verify.cache = cache_open(name.len > 0 ? name : STR(IN_MEMORY), &error);
	if (geteuid() != before && seteuid(before) != 0)
		fatal("set effective user id %u: %s", before, strerror(errno));
	if (verify.cache != NULL)
		return;
	log_warning("address_verify_map: %s: results will be remembered in memory only",
	    buf_cstr(&error));
	verify.cache = cache_open(STR(IN_MEMORY), &error);
}

static void before_jail(void)
{
	const struct verify_params *p = &verify.params;
	verify.times = (struct entry_times){
	    .positive_expire = p->address_verify_positive_expire_time,
	    .positive_refresh = p->address_verify_positive_refresh_time,
	    .negative_expire = p->address_verify_negative_expire_time,
	    .negative_refresh = p->address_verify_negative_refresh_time,
	};
	verify.sender = (struct verify_sender){
	    .address = str_of(p->address_verify_sender),
	    .origin = str_of(service_common()->myorigin),
	    .ttl = p->address_verify_sender_ttl,
	};
	open_cache();
}

static void started(void)
{
	const struct common_params *common = service_common();
	verify.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name),
	    PROBE_STOCK);
	if (verify.params.address_verify_cache_cleanup_interval > 0 &&
	    fiber_start("cleanup", clean_up_at_times, NULL) != 0)
		log_warning("no memory to clean up the cache");
}

static bool busy(void)
{
	return verify.sending > 0;
}

static const struct service verify_service = {
    .name = "verify",
    .params = verify_param_table,
    .values = &verify.params,
    .sandbox = SANDBOX_TABLE,
    .before_jail = before_jail,
    .started = started,
    .requests = requests,
    .busy = busy,
};

int main(int argc, char **argv)
{
	return service_main(&verify_service, argc, argv);
}
