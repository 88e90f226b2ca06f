#include "client/flush_client.h"

#include <errno.h>
#include "base/arena.h"

void flush_client_note(struct ipc_client *ipc, struct str site, struct str id)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(1024);
	struct flush_add_entry entry = {.site = site, .id = id};
	flush_append_write(
	    &request, &(struct flush_append){.entries = &entry, .entries_count = 1});
	if (buf_ok(&request))
		ipc_notify(ipc, flush_append_type, buf_str(&request));
}

static int call(struct ipc_client *ipc, uint16_t type, const struct buf *request,
    int64_t deadline, enum flush_status *status_r)
{
	if (!buf_ok(request))
		return -EMSGSIZE;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(64);
	struct flush_reply answer;
	int error = ipc_call(
	    ipc, type, IPC_SAFE, buf_str(request), flush_reply_type, &reply, deadline);
	if (error != 0)
		return error;
	struct arena *arena = arena_new(1024);
	bool good = flush_reply_read(buf_str(&reply), arena, &answer) &&
	    answer.status <= FLUSH_DENIED;
	arena_free(arena);
	if (!good)
		return -EBADMSG;
	*status_r = (enum flush_status)answer.status;
	return 0;
}

int flush_client_site(struct ipc_client *ipc, struct str site, int64_t deadline,
    enum flush_status *status_r)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(1024);
	flush_site_write(&request, &(struct flush_site){.site = site});
	return call(ipc, flush_site_type, &request, deadline, status_r);
}

int flush_client_message(
    struct ipc_client *ipc, struct str id, int64_t deadline, enum flush_status *status_r)
{
	CLEANUP(buf_free) struct buf request = BUF_INIT(1024);
	flush_message_write(&request, &(struct flush_message){.id = id});
	return call(ipc, flush_message_type, &request, deadline, status_r);
}
