/* mailbox_transport, fallback_transport: another agent takes the rest of the way. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/delivery_client.h"
#include "client/service_client.h"
#include "local/local.h"

/* The agent logs and, but for parts of a divided recipient, marks by itself. */
static void run(
    const struct member *m, size_t outcome, const char *transport, struct str nexthop)
{
	struct delivery *d = m->tree->delivery;
	const struct common_params *common = service_common();
	struct delivery_rcpt *rcpt = &d->recipients[outcome];
	struct delivery_request request = d->request;
	struct delivery_recipient recipient = *rcpt->request;
	struct delivery_outcome result;
	struct ipc_client *agent = service_client_new(common, SERVICE_PRIVATE, transport);
	request.nexthop = nexthop.len > 0 ? nexthop : d->request.nexthop;
	request.sender = m->sender;
	request.recipients = &recipient;
	request.recipients_count = 1;
	if (rcpt->part)
		request.flags |= DELIVERY_PART;
	log_info("%.*s: passing <%.*s> to transport=%s", STR_ARG(d->request.id),
	    STR_ARG(m->address), transport);
	int error = delivery_client_run(
	    agent, &request, deadline_after_seconds(common->daemon_timeout), &result);
	ipc_client_free(agent);
	if (error != 0) {
		struct why why;
		why_init(&why);
		(void)why_later(&why, "4.3.0", "mail transport unavailable");
		delivery_failed(d, outcome, STR_EMPTY, &why);
		why_free(&why);
		return;
	}
	rcpt->result = DELIVERY_PASSED;
	d->passed_left = d->passed_left || result.left;
	d->passed_bounced = d->passed_bounced || result.bounced;
}

static void pass(const struct member *m, struct str target)
{
	struct arena *a = m->tree->delivery->arena;
	ptrdiff_t colon = str_find(target, ':');
	struct str name = colon < 0 ? target : str_slice(target, 0, (size_t)colon);
	struct str nexthop = colon < 0 ? STR_EMPTY : str_skip(target, (size_t)colon + 1);
	const char *transport = arena_cstr(a, name);
	size_t outcome = member_outcome(m);
	if (outcome == SIZE_MAX)
		return;
	if (transport == NULL || transport[0] == '\0' || strchr(transport, '/') != NULL) {
		struct why why;
		why_init(&why);
		(void)why_later(&why, "4.3.5", "mail system configuration error");
		log_warning("bad transport name: %.*s", STR_ARG(target));
		delivery_failed(m->tree->delivery, outcome, STR_EMPTY, &why);
		why_free(&why);
		return;
	}
	run(m, outcome, transport, nexthop);
}

bool pass_deliver(
    const struct member *m, struct maps *maps, const char *title, const char *plain)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result found =
	    maps_empty(maps) ? TABLE_ABSENT : maps_lookup(maps, m->base, false, &value);
	struct str target =
	    found == TABLE_FOUND ? str_trim(buf_str(&value)) : str_of(plain);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN) {
		member_later(m, "4.3.0", "%s lookup failure", title);
		return true;
	}
	if (target.len == 0)
		return false;
	target = arena_str(m->tree->delivery->arena, target);
	pass(m, target.p != NULL ? target : STR(":"));
	return true;
}
