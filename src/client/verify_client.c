#include "client/verify_client.h"

#include <errno.h>

#include "base/arena.h"

#define REPLY_MAX (WHY_TEXT_MAX + 64)

static int call(struct ipc_client *ipc, uint16_t type, const struct buf *request,
    int64_t deadline, enum verify_status *status_r, struct buf *text)
{
	if (!buf_ok(request))
		return -EMSGSIZE;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(REPLY_MAX);
	int error = ipc_call(
	    ipc, type, IPC_SAFE, buf_str(request), verify_reply_type, &bytes, deadline);
	if (error != 0)
		return error;
	struct verify_reply reply;
	struct arena *arena = arena_new(1024);
	bool good = verify_reply_read(buf_str(&bytes), arena, &reply) &&
	    reply.status <= VERIFY_STATUS_LAST;
	arena_free(arena);
	if (!good)
		return -EBADMSG;
	*status_r = (enum verify_status)reply.status;
	buf_add_str(text, reply.text);
	return 0;
}

int verify_client_query(struct ipc_client *ipc, struct str address, int64_t deadline,
    enum verify_status *status_r, struct buf *text)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(ADDRESS_MAX + 64);
	verify_query_write(&request, &(struct verify_query){.address = address});
	return call(ipc, verify_query_type, &request, deadline, status_r, text);
}

int verify_client_update(
    struct ipc_client *ipc, const struct verify_update *update, int64_t deadline)
{
	enum verify_status status;
	CLEANUP(buf_free) struct buf text = BUF_INIT(WHY_TEXT_MAX);
	CLEANUP(buf_free) struct buf request = BUF_INIT(ADDRESS_MAX + REPLY_MAX);
	verify_update_write(&request, update);
	return call(ipc, verify_update_type, &request, deadline, &status, &text);
}
