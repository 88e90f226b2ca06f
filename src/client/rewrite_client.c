#include "client/rewrite_client.h"

#include <errno.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/siphash.h"

#define REWRITE_TIMEOUT_MS 100000
#define ANSWERS            128  /* remembered; a new one takes the place of an old one */
#define ANSWER_MS          1000 /* so long it counts */
#define ANSWER_MAX         1024 /* bytes of a question, or of an answer, that is kept */

/* So many addresses go into one question that the longest answer to it fits into a frame:
 * next hops and addresses come from tables, as long as they like. */
#define TEXT(max)        (4 + (max))
#define REWRITE_TOGETHER ((WIRE_PAYLOAD_MAX - 4) / TEXT(ADDRESS_MAX))
#define RESOLVE_TOGETHER \
	((WIRE_PAYLOAD_MAX - 4) / (4 + TEXT(256) + TEXT(2048) + TEXT(ADDRESS_MAX)))

struct answer {
	struct buf question, payload; /* as they go over the wire */
	int64_t until;                /* monotonic ms */
};

struct rewrite_client {
	struct ipc_client *ipc;
	uint64_t key[2];
	struct answer answers[ANSWERS];
};

struct rewrite_client *rewrite_client_new(struct ipc_client *ipc)
{
	struct rewrite_client *c = memory_alloc(sizeof(*c));
	c->ipc = ipc;
	random_bytes(c->key, sizeof(c->key));
	for (size_t i = 0; i < ANSWERS; i++) {
		buf_init(&c->answers[i].question, ANSWER_MAX);
		buf_init(&c->answers[i].payload, ANSWER_MAX);
	}
	return c;
}

void rewrite_client_free(struct rewrite_client *c)
{
	for (size_t i = 0; i < ANSWERS; i++) {
		buf_free(&c->answers[i].question);
		buf_free(&c->answers[i].payload);
	}
	free(c);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Where the answer to this question is, if it is known. */
static struct answer *place_of(struct rewrite_client *c, struct str question)
{
	return &c->answers[siphash(c->key, question) % ANSWERS];
}

static bool is_known(const struct answer *place, struct str question)
{
	return str_equal(buf_str(&place->question), question) &&
	    clock_ms() < place->until;
}

/* What a table did not answer is asked again. */
static bool is_final(const struct resolve_reply *reply)
{
	for (uint32_t i = 0; i < reply->results_count; i++)
		if ((reply->results[i].flags & RESOLVE_TRY_LATER) != 0)
			return false;
	return true;
}

static void remember(struct answer *place, struct str question, struct str payload)
{
	buf_clear(&place->question);
	buf_clear(&place->payload);
	buf_add_str(&place->question, question);
	buf_add_str(&place->payload, payload);
	bool whole = buf_ok(&place->question) && buf_ok(&place->payload);
	place->until = whole ? deadline_after_ms(ANSWER_MS) : 0;
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

static int rewrite_some(struct rewrite_client *c, enum rewrite_context context,
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

int rewrite_addresses(struct rewrite_client *c, enum rewrite_context context,
    const struct str *addresses, size_t count, struct arena *a, struct str *out)
{
	int error = 0;
	for (size_t at = 0, size; error == 0 && at < count; at += size) {
		size = smaller(count - at, REWRITE_TOGETHER);
		error = rewrite_some(c, context, addresses + at, size, a, out + at);
	}
	return error;
}

static int resolve_some(struct rewrite_client *c, struct resolve_question q,
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
	struct answer *place = place_of(c, buf_str(&bytes));
	bool known = buf_ok(&bytes) && is_known(place, buf_str(&bytes));
	struct str payload = known ? arena_str(a, buf_str(&place->payload)) : STR_EMPTY;
	struct resolve_reply reply;
	int error = known && payload.p == NULL ? -ENOMEM : 0;
	if (!known)
		error = call(
		    c, resolve_request_type, &bytes, resolve_reply_type, a, &payload);
	if (error != 0)
		return error;
	if (!resolve_reply_read(payload, a, &reply) || reply.results_count != count)
		return -EBADMSG;
	if (!known && is_final(&reply))
		remember(place, buf_str(&bytes), payload);
	for (size_t i = 0; i < count; i++)
		out[i] = reply.results[i];
	return 0;
}

int rewrite_resolve(struct rewrite_client *c, struct resolve_question q,
    const struct str *addresses, size_t count, struct arena *a, struct resolved *out)
{
	int error = 0;
	for (size_t at = 0, size; error == 0 && at < count; at += size) {
		size = smaller(count - at, RESOLVE_TOGETHER);
		error = resolve_some(c, q, addresses + at, size, a, out + at);
	}
	return error;
}
