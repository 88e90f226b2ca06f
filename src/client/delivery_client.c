#include "client/delivery_client.h"

#include <errno.h>

int delivery_client_run(struct ipc_client *agent, const struct delivery_request *r,
    int64_t deadline, struct delivery_outcome *outcome_r)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(WIRE_PAYLOAD_MAX);
	CLEANUP(buf_free) struct buf reply = BUF_INIT(WIRE_PAYLOAD_MAX);
	delivery_request_write(&request, r);
	if (!buf_ok(&request))
		return -EMSGSIZE;
	int error = ipc_call(agent, delivery_request_type, IPC_NEVER, buf_str(&request),
	    delivery_reply_type, &reply, deadline);
	if (error != 0)
		return error;
	struct arena *arena = arena_new(4096);
	struct delivery_reply answer;
	struct delivery_outcome outcome = {.left = false};
	error = delivery_reply_read(buf_str(&reply), arena, &answer) ? 0 : -EBADMSG;
	if (error == 0) {
		outcome.left = answer.left;
		outcome.bounced = answer.bounced;
		struct str text =
		    str_slice(answer.hop_text, 0, sizeof(outcome.hop_text) - 1);
		if (!str_to_cstr(answer.hop_status, outcome.hop_status,
			sizeof(outcome.hop_status)) ||
		    !str_to_cstr(text, outcome.hop_text, sizeof(outcome.hop_text)))
			error = -EBADMSG;
	}
	arena_free(arena);
	if (error == 0)
		*outcome_r = outcome;
	return error;
}
