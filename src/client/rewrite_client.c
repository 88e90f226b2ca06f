#include "client/rewrite_client.h"

#include <errno.h>
#include "base/clock.h"
#include "base/memory.h"

#define REWRITE_TIMEOUT_MS 100000

struct rewrite_client {
	struct ipc_client *ipc;
};

struct rewrite_client *rewrite_client_new(struct ipc_client *ipc)
{
	struct rewrite_client *c = memory_alloc(sizeof(*c));
	c->ipc = ipc;
	return c;
}

void rewrite_client_free(struct rewrite_client *c)
{
	free(c);
}

/* The addresses as records in the arena; NULL when it is full. */
static struct rewrite_address *address_records(
    const struct str *addresses, size_t count, struct arena *a)
{
	struct rewrite_address *records = arena_alloc_array(a, count, sizeof(*records));
	for (size_t i = 0; records != NULL && i < count; i++)
		records[i].address = addresses[i];
	return records;
}

/* One call; the reply is copied into the arena because results point into it. */
static int call(struct rewrite_client *c, uint16_t type, struct buf *request,
    uint16_t reply_type, struct arena *a, struct str *payload_r)
{
	if (!buf_ok(request))
		return -EMSGSIZE;
	CLEANUP(buf_free) struct buf reply = BUF_INIT(WIRE_PAYLOAD_MAX);
	int64_t patience = deadline_after_ms(REWRITE_TIMEOUT_MS);
	int64_t deadline = ipc_client_deadline(c->ipc);
	int error = ipc_call(c->ipc, type, IPC_SAFE, buf_str(request), reply_type, &reply,
	    deadline < patience ? deadline : patience);
	if (error != 0)
		return error;
	*payload_r = arena_str(a, buf_str(&reply));
	return payload_r->p != NULL ? 0 : -ENOMEM;
}

int rewrite_addresses(struct rewrite_client *c, enum rewrite_context context,
    const struct str *addresses, size_t count, struct arena *a, struct str *out)
{
	struct rewrite_request request = {
	    .context = (uint8_t)context,
	    .addresses = address_records(addresses, count, a),
	    .addresses_count = (uint32_t)count,
	};
	if (request.addresses == NULL)
		return -ENOMEM;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PAYLOAD_MAX);
	rewrite_request_write(&bytes, &request);
	struct str payload;
	struct rewrite_reply reply;
	int error =
	    call(c, rewrite_request_type, &bytes, rewrite_reply_type, a, &payload);
	if (error != 0)
		return error;
	if (!rewrite_reply_read(payload, a, &reply) || reply.addresses_count != count)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++)
		out[i] = reply.addresses[i].address;
	return 0;
}

int rewrite_resolve(struct rewrite_client *c, struct resolve_question q,
    const struct str *addresses, size_t count, struct arena *a, struct resolved *out)
{
	struct resolve_request request = {
	    .how = q.how,
	    .sender = q.sender,
	    .addresses = address_records(addresses, count, a),
	    .addresses_count = (uint32_t)count,
	};
	if (request.addresses == NULL)
		return -ENOMEM;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PAYLOAD_MAX);
	resolve_request_write(&bytes, &request);
	struct str payload;
	struct resolve_reply reply;
	int error =
	    call(c, resolve_request_type, &bytes, resolve_reply_type, a, &payload);
	if (error != 0)
		return error;
	if (!resolve_reply_read(payload, a, &reply) || reply.results_count != count)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++)
		out[i] = reply.results[i];
	return 0;
}
