#include "client/bounce_client.h"

#include <errno.h>

/* Sends one request; 0 only when the service said that it is done. */
static int call(struct ipc_client *ipc, uint16_t type, struct buf *request)
{
	if (!buf_ok(request))
		return -EMSGSIZE;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(WIRE_PAYLOAD_MAX);
	int error = ipc_call(ipc, type, IPC_NEVER, buf_str(request), bounce_reply_type,
	    &reply, ipc_client_deadline(ipc));
	if (error != 0)
		return error;
	struct arena *arena = arena_new(4096);
	struct bounce_reply answer;
	error = bounce_reply_read(buf_str(&reply), arena, &answer) ? 0 : -EBADMSG;
	if (error == 0 && !answer.done)
		error = -EIO;
	arena_free(arena);
	return error;
}

/* Entries that do not fit into one frame go in several; each is synced by itself. */
int bounce_client_append(struct ipc_client *ipc, const struct bounce_append *entries)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(WIRE_PAYLOAD_MAX);
	bounce_append_write(&request, entries);
	if (buf_ok(&request) || entries->entries_count < 2)
		return call(ipc, bounce_append_type, &request);
	uint32_t half = entries->entries_count / 2;
	struct bounce_append first = {.entries = entries->entries, .entries_count = half};
	struct bounce_append second = {.entries = entries->entries + half,
	    .entries_count = entries->entries_count - half};
	int error = bounce_client_append(ipc, &first);
	return error != 0 ? error : bounce_client_append(ipc, &second);
}

int bounce_client_send(struct ipc_client *ipc, const struct bounce_send *request)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PAYLOAD_MAX);
	bounce_send_write(&bytes, request);
	return call(ipc, bounce_send_type, &bytes);
}

int bounce_client_one(struct ipc_client *ipc, const struct bounce_one *request)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PAYLOAD_MAX);
	bounce_one_write(&bytes, request);
	return call(ipc, bounce_one_type, &bytes);
}
