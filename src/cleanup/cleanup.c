/*
 * cleanup: turns what smtpd, pickup, bounce and local submit into a complete queue file,
 * commits it, and tells qmgr.
 *
 * Reads from strangers: message content, byte for byte; envelopes come from our own
 * services and are read strictly. Runs as mail_owner, may be jailed. If it died here, the
 * messages under way would not be acknowledged; their senders try again.
 */
#include "cleanup/cleanup.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "cleanup/checks.h"
#include "cleanup/mapping.h"
#include "client/service_client.h"
#include "run/fiber.h"
#include "run/loop.h"

struct cleanup_state cleanup;

/* --- reserved ids --- */

static struct map *reserved_of(struct ipc_exchange *x)
{
	void **state = ipc_connection_state(x);
	if (*state == NULL)
		*state = map_new();
	return *state;
}

static void connection_closed(void *state)
{
	struct map *reserved = state;
	size_t at = 0;
	struct str id;
	void *slot;
	while (map_next(reserved, &at, &id, &slot))
		commit_cancel(slot);
	map_free(reserved);
}

struct commit_slot *slot_take(struct ipc_exchange *x, struct str id)
{
	struct commit_slot *slot = NULL;
	int error = 0;
	if (id.len == 0)
		error = commit_reserve(cleanup.commit, &slot);
	else
		slot = map_remove(reserved_of(x), id);
	if (slot == NULL && error == 0)
		error = commit_adopt(cleanup.commit, id, &slot);
	if (error != 0)
		log_warning("cannot make a queue file in incoming: %s", strerror(-error));
	return error == 0 ? slot : NULL;
}

static void announce_late(UNUSED void *context, const struct commit_message *m)
{
	qmgr_client_announce(cleanup.qmgr, m, true);
}

static void look_after(UNUSED void *argument)
{
	commit_late(cleanup.commit, announce_late, NULL);
	if (commit_waits(cleanup.commit))
		run_timer_set(cleanup.late, deadline_after_ms(COMMIT_LATE_MS));
	else
		cleanup.looking_after = false;
}

void announce(const struct commit_message *m)
{
	qmgr_client_announce(cleanup.qmgr, m, false);
	if (m->place == 0 || cleanup.looking_after)
		return;
	cleanup.looking_after = true;
	run_timer_set(cleanup.late, deadline_after_ms(COMMIT_LATE_MS));
}

static void serve_reserve(struct ipc_exchange *x, struct str payload)
{
	struct arena *a = arena_new(65536);
	struct cleanup_reserve request;
	struct cleanup_id ids[CLEANUP_IDS_MAX];
	struct cleanup_reserved reply = {.ids = ids};
	uint32_t wanted = cleanup_reserve_read(payload, a, &request) ? request.count : 0;
	arena_free(a);
	if (wanted > CLEANUP_IDS_MAX)
		wanted = CLEANUP_IDS_MAX;
	while (reply.ids_count < wanted) {
		struct commit_slot *slot = slot_take(x, STR_EMPTY);
		if (slot == NULL)
			break;
		struct str id = str_of(commit_id(slot));
		(void)map_set(reserved_of(x), id, slot);
		ids[reply.ids_count++].id = id;
	}
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PAYLOAD_MAX);
	cleanup_reserved_write(&bytes, &reply);
	if (ipc_reply(x, cleanup_reserved_type, buf_str(&bytes)) != 0)
		log_debug("client did not wait for its queue ids");
}

static void serve_release(struct ipc_exchange *x, struct str payload)
{
	struct arena *a = arena_new(65536);
	struct cleanup_release request;
	if (cleanup_release_read(payload, a, &request)) {
		commit_cancel(map_remove(reserved_of(x), request.id));
		log_info("%.*s: removed (canceled)", STR_ARG(request.id));
	}
	arena_free(a);
}

static void exchange(struct ipc_exchange *x)
{
	uint16_t type;
	struct str payload;
	if (ipc_receive(x, &type, &payload, service_client_deadline(service_common())) !=
	    0)
		return;
	switch (type) {
	case cleanup_submit_type:
		message_serve(x, payload);
		break;
	case cleanup_reserve_type:
		serve_reserve(x, payload);
		break;
	case cleanup_release_type:
		serve_release(x, payload);
		break;
	default:
		log_warning("unknown request");
	}
}

static void choose_drops(void)
{
	struct str names = str_of(cleanup.params.message_drop_headers), name;
	while (str_next(&names, " \t\r\n,", &name)) {
		enum header_id id = header_find(name)->id;
		if (id != HEADER_OTHER)
			cleanup.drops[id] = true;
	}
}

/* What is nested too deep is refused where anybody looks at the structure. */
static struct mime_options mime_options(void)
{
	const struct cleanup_params *p = &cleanup.params;
	unsigned report = 0;
	if (p->strict_7bit_headers || p->strict_8bitmime)
		report |= MIME_8BIT_IN_HEADER;
	if (p->strict_8bitmime_body || p->strict_8bitmime)
		report |= MIME_8BIT_IN_BODY;
	if (p->strict_mime_encoding_domain)
		report |= MIME_ENCODING_DOMAIN;
	if (report != 0 || cleanup.checks != NULL)
		report |= MIME_TOO_DEEP;
	return (struct mime_options){
	    .nesting_limit = (unsigned)p->mime_nesting_limit,
	    .boundary_limit = (size_t)p->mime_boundary_length_limit,
	    .header_limit = (size_t)p->header_size_limit,
	    .report = report,
	    .flat = p->disable_mime_input_processing,
	};
}

static void before_jail(void)
{
	cleanup.virtual_aliases = recipients_open();
	cleanup.mapping = mapping_open();
	cleanup.bcc = bcc_open();
	cleanup.checks = checks_open();
	cleanup.bytes = bytes_open();
	cleanup.mime = mime_options();
	cleanup.mydestination = match_list_open(
	    "mydestination", service_common()->mydestination, MATCH_DOMAINS, 0);
	choose_drops();
}

static void started(void)
{
	const struct common_params *common = service_common();
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
	struct commit_options options = {.kind = COMMIT_INCOMING,
	    .long_ids = common->enable_long_queue_ids,
	    .segment_size = common->commit_segment_size};
	if (!commit_engine_parse(common->commit_engine, &options.engine))
		fatal("bad value of commit_engine: %s", common->commit_engine);
	int error = commit_open(&options, &cleanup.commit);
	if (error != 0)
		fatal("open queue for new mail: %s", strerror(-error));
	commit_prepare(cleanup.commit);
	cleanup.late = run_timer_new(look_after, NULL);
	cleanup.rewrite = rewrite_client_new(
	    service_client_new(common, SERVICE_PRIVATE, common->rewrite_service_name));
	cleanup.qmgr = qmgr_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->queue_service_name));
	cleanup.verify = service_client_new(
	    common, SERVICE_PRIVATE, common->address_verify_service_name);
	cleanup.trace =
	    service_client_new(common, SERVICE_PRIVATE, common->trace_service_name);
}

static bool stale(void)
{
	return recipients_changed(cleanup.virtual_aliases) ||
	    mapping_changed(cleanup.mapping) || bcc_changed(cleanup.bcc) ||
	    (cleanup.checks != NULL && content_checks_changed(cleanup.checks)) ||
	    match_list_changed(cleanup.mydestination);
}

/* A retired process that ended before qmgr heard would leave mail to the next scan. */
static bool busy(void)
{
	bool rests = commit_retire(cleanup.commit);
	return !rests || qmgr_client_busy(cleanup.qmgr);
}

static const struct service cleanup_service = {
    .name = "cleanup",
    .params = cleanup_param_table,
    .values = &cleanup.params,
    .sandbox = SANDBOX_QUEUE,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
    .connection_closed = connection_closed,
    .stale = stale,
    .busy = busy,
};

int main(int argc, char **argv)
{
	return service_main(&cleanup_service, argc, argv);
}
