#include "deliver/pass.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/delivery_client.h"
#include "client/service_client.h"

static void fail(struct delivery *d, size_t index, const char *status, const char *text)
{
	struct why why;
	why_init(&why);
	(void)why_later(&why, status, "%s", text);
	delivery_failed(d, index, STR_EMPTY, &why);
	why_free(&why);
}

static int hand_over(struct delivery *d, size_t index, struct ipc_client *agent,
    struct delivery_request *request, int64_t deadline)
{
	struct delivery_rcpt *rcpt = &d->recipients[index];
	struct delivery_recipient recipient = *rcpt->request;
	struct delivery_outcome outcome;
	request->sender = rcpt->sender;
	request->recipients = &recipient;
	request->recipients_count = 1;
	request->flags |= DELIVERY_PASSED_ON;
	if (rcpt->part)
		request->flags |= DELIVERY_PART;
	int error = delivery_client_run(agent, request, deadline, &outcome);
	if (error != 0)
		return error;
	rcpt->result = DELIVERY_PASSED;
	d->passed_left = d->passed_left || outcome.left;
	d->passed_bounced = d->passed_bounced || outcome.bounced;
	return 0;
}

void delivery_pass(struct delivery *d, size_t index, struct str target,
    const struct common_params *common)
{
	ptrdiff_t colon = str_find(target, ':');
	struct str name = colon < 0 ? target : str_slice(target, 0, (size_t)colon);
	struct str nexthop = colon < 0 ? STR_EMPTY : str_skip(target, (size_t)colon + 1);
	const char *transport = arena_cstr(d->arena, name);
	if (transport == NULL || transport[0] == '\0' || strchr(transport, '/') != NULL) {
		log_warning("bad transport name: %.*s", STR_ARG(target));
		fail(d, index, "4.3.5", "mail system configuration error");
		return;
	}
	log_info("%.*s: passing <%.*s> to transport=%s", STR_ARG(d->request.id),
	    STR_ARG(d->recipients[index].request->address), transport);
	struct delivery_request request = d->request;
	struct ipc_client *agent = service_client_new(common, SERVICE_PRIVATE, transport);
	if (nexthop.len > 0)
		request.nexthop = nexthop;
	int64_t deadline = deadline_after_seconds(common->daemon_timeout);
	if (hand_over(d, index, agent, &request, deadline) != 0)
		fail(d, index, "4.3.0", "mail transport unavailable");
	ipc_client_free(agent);
}
