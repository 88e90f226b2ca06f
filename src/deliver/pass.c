#include "deliver/pass.h"

#include <errno.h>
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

/* True: this is once too often. */
static bool count_pass(uint32_t *flags)
{
	if ((*flags & DELIVERY_PASSED_MOST) == DELIVERY_PASSED_MOST)
		return true;
	if (*flags & DELIVERY_PASSED_ON)
		*flags += DELIVERY_PASSED_AGAIN;
	*flags |= DELIVERY_PASSED_ON;
	return false;
}

static int hand_over(struct delivery *d, size_t index, struct ipc_client *agent,
    struct str nexthop, int64_t deadline)
{
	struct delivery_rcpt *rcpt = &d->recipients[index];
	struct delivery_recipient recipient = *rcpt->request;
	struct delivery_request request = d->request;
	struct delivery_outcome outcome;
	if (nexthop.len > 0)
		request.nexthop = nexthop;
	request.sender = rcpt->sender;
	request.recipients = &recipient;
	request.recipients_count = 1;
	request.flags |= rcpt->part ? DELIVERY_PART : 0;
	if (count_pass(&request.flags))
		return -ELOOP;
	int error = delivery_client_run(agent, &request, deadline, &outcome);
	if (error != 0)
		return error;
	rcpt->result = DELIVERY_PASSED;
	rcpt->left = outcome.left;
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
	struct ipc_client *agent = service_client_new(common, SERVICE_PRIVATE, transport);
	int64_t deadline = deadline_after_seconds(common->daemon_timeout);
	int error = hand_over(d, index, agent, nexthop, deadline);
	if (error == -ELOOP)
		log_warning("%.*s: <%.*s> was passed on too often, now to transport=%s",
		    STR_ARG(d->request.id),
		    STR_ARG(d->recipients[index].request->address), transport);
	if (error != 0)
		fail(d, index, error == -ELOOP ? "4.3.5" : "4.3.0",
		    error == -ELOOP ? "mail system configuration error"
				    : "mail transport unavailable");
	ipc_client_free(agent);
}
