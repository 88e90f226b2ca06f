#include "client/cleanup_client.h"

#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"
#include "ipc/little_endian.h"
#include "run/fiber.h"

#define RESERVE_TIMEOUT_MS 30000
#define USUAL_FRAME        4096 /* bytes: most messages fit into twice as much */

/* A reserved id, and the connection to the cleanup process that holds its file. */
struct stock_entry {
	char id[64];
	uint64_t connection;
};

struct cleanup_client {
	struct ipc_client *ipc;
	struct stock_entry stock[CLEANUP_IDS_MAX];
	unsigned count, wanted;
	bool refilling;
	int refill_error;
	struct fiber_queue waiters;
};

struct cleanup_message {
	struct cleanup_client *client;
	struct stock_entry reserved; /* id "" when cleanup shall choose */
	bool shown, submitted, stored;
	struct ipc_exchange *exchange; /* NULL until the first frame goes out */
	/* The submit frame. The content, its last field, is empty there; behind it stands
	 * what there is of it so far. */
	struct buf frame;
	size_t envelope; /* bytes of the frame before the content */
};

struct cleanup_client *cleanup_client_new(struct ipc_client *ipc, unsigned stock)
{
	struct cleanup_client *c = memory_alloc(sizeof(*c));
	c->ipc = ipc;
	c->wanted = stock < CLEANUP_IDS_MAX ? stock : CLEANUP_IDS_MAX;
	fiber_queue_init(&c->waiters);
	return c;
}

static int stock_add(struct cleanup_client *c, struct ipc_exchange *x, struct str payload)
{
	struct arena *arena = arena_new(65536);
	struct cleanup_reserved reply;
	int error = 0;
	if (!cleanup_reserved_read(payload, arena, &reply) || reply.ids_count == 0)
		error = -EBADMSG;
	for (uint32_t i = 0; error == 0 && i < reply.ids_count; i++) {
		if (c->count == CLEANUP_IDS_MAX)
			break;
		struct stock_entry *entry = &c->stock[c->count];
		if (!str_to_cstr(reply.ids[i].id, entry->id, sizeof(entry->id)))
			error = -EBADMSG;
		else
			entry->connection = ipc_connection_id(x), c->count++;
	}
	arena_free(arena);
	return error;
}

static int stock_ask(struct cleanup_client *c)
{
	int64_t deadline = deadline_after_ms(RESERVE_TIMEOUT_MS);
	struct ipc_exchange *x;
	int error = ipc_open(c->ipc, deadline, &x);
	if (error != 0)
		return error;
	CLEANUP(buf_free) struct buf request = BUF_INIT(64);
	cleanup_reserve_write(
	    &request, &(struct cleanup_reserve){.count = c->wanted - c->count});
	uint16_t type;
	struct str payload;
	error = ipc_send(x, cleanup_reserve_type, buf_str(&request), IPC_LAST, deadline);
	if (error == 0)
		error = ipc_receive(x, &type, &payload, deadline);
	if (error == 0)
		error =
		    type == cleanup_reserved_type ? stock_add(c, x, payload) : -EBADMSG;
	ipc_end(x);
	return error;
}

static void refill(void *argument)
{
	struct cleanup_client *c = argument;
	c->refill_error = stock_ask(c);
	c->refilling = false;
	fiber_queue_wake_all(&c->waiters);
}

/* Asks for more when half of the stock is gone, so that hardly anybody waits. */
static int refill_start(struct cleanup_client *c)
{
	if (c->refilling || c->count > c->wanted / 2)
		return 0;
	c->refilling = true;
	int error = fiber_start("cleanup ids", refill, c);
	if (error != 0)
		c->refilling = false;
	return error;
}

static int stock_take(
    struct cleanup_client *c, int64_t deadline, struct stock_entry *entry)
{
	int error = refill_start(c);
	while (error == 0 && c->count == 0) {
		if (fiber_queue_wait(&c->waiters, deadline) == FIBER_TIMEOUT)
			return -ETIMEDOUT;
		if (c->count == 0)
			error = c->refill_error != 0 ? c->refill_error : refill_start(c);
	}
	if (error == 0)
		*entry = c->stock[--c->count];
	return error;
}

struct cleanup_message *cleanup_message_new(
    struct cleanup_client *c, int64_t deadline, int *error_r)
{
	struct stock_entry reserved = {.id = ""};
	int error = c->wanted > 0 ? stock_take(c, deadline, &reserved) : 0;
	if (error != 0) {
		*error_r = error;
		return NULL;
	}
	struct cleanup_message *m = memory_alloc(sizeof(*m));
	m->client = c;
	m->reserved = reserved;
	buf_init(&m->frame, WIRE_PAYLOAD_MAX);
	return m;
}

const char *cleanup_message_id(const struct cleanup_message *m)
{
	return m->reserved.id;
}

void cleanup_message_shown(struct cleanup_message *m)
{
	m->shown = true;
}

/* The process that holds the reserved file is asked first; when it is gone any other
 * takes the id over. */
static int exchange_open(struct cleanup_message *m, int64_t deadline)
{
	int error = -ECONNRESET;
	if (m->reserved.id[0] != '\0')
		error = ipc_open_on(
		    m->client->ipc, m->reserved.connection, deadline, &m->exchange);
	if (error == -ECONNRESET)
		error = ipc_open(m->client->ipc, deadline, &m->exchange);
	return error;
}

#define RECIPIENT_ROOM 128u /* bytes of a record besides its strings */

static size_t recipient_size(const struct cleanup_recipient *r)
{
	return r->address.len + r->original.len + r->dsn_orcpt.len + RECIPIENT_ROOM;
}

/* How many of `list` fit into `room` bytes. */
static uint32_t recipients_that_fit(
    const struct cleanup_recipient *list, uint32_t count, size_t room)
{
	uint32_t fit = 0;
	while (fit < count && recipient_size(&list[fit]) <= room)
		room -= recipient_size(&list[fit++]);
	return fit;
}

/* Keeps the envelope with as many recipients as leave room for a small message. */
static uint32_t envelope_write(struct cleanup_message *m, struct cleanup_submit *envelope)
{
	size_t room = WIRE_PAYLOAD_MAX - WIRE_SMALL_MESSAGE - 32768;
	uint32_t all = envelope->recipients_count;
	uint32_t fit = recipients_that_fit(envelope->recipients, all, room);
	envelope->recipients_count = fit;
	envelope->id = str_of(m->reserved.id);
	envelope->content = STR_EMPTY;
	buf_clear(&m->frame);
	(void)buf_reserve(&m->frame, USUAL_FRAME);
	cleanup_submit_write(&m->frame, envelope);
	m->envelope = m->frame.len;
	envelope->recipients_count = all;
	return fit;
}

static int send_more_recipients(struct cleanup_message *m,
    const struct cleanup_submit *envelope, uint32_t from, int64_t deadline)
{
	CLEANUP(buf_free) struct buf frame = BUF_INIT(WIRE_PAYLOAD_MAX);
	int error = 0;
	while (error == 0 && from < envelope->recipients_count) {
		struct cleanup_recipient *list = envelope->recipients + from;
		uint32_t fit = recipients_that_fit(
		    list, envelope->recipients_count - from, WIRE_PAYLOAD_MAX / 2);
		ENSURE(fit > 0);
		buf_clear(&frame);
		cleanup_recipients_write(&frame,
		    &(struct cleanup_recipients){
			.recipients = list, .recipients_count = fit});
		error = ipc_send(m->exchange, cleanup_recipients_type, buf_str(&frame),
		    IPC_MORE, deadline);
		from += fit;
	}
	return error;
}

/* From here on the message is streamed: the envelope goes out now. */
static int stream_start(struct cleanup_message *m, int64_t deadline)
{
	int error = exchange_open(m, deadline);
	if (error == 0)
		error = ipc_send(m->exchange, cleanup_submit_type,
		    str_slice(buf_str(&m->frame), 0, m->envelope), IPC_MORE, deadline);
	return error;
}

int cleanup_message_begin(
    struct cleanup_message *m, struct cleanup_submit *envelope, int64_t deadline)
{
	uint32_t sent = envelope_write(m, envelope);
	if (!buf_ok(&m->frame))
		return -EMSGSIZE;
	m->submitted = true;
	if (sent == envelope->recipients_count)
		return 0;
	int error = stream_start(m, deadline);
	return error != 0 ? error : send_more_recipients(m, envelope, sent, deadline);
}

static int send_content(
    struct cleanup_message *m, struct str bytes, bool last, int64_t deadline)
{
	CLEANUP(buf_free) struct buf frame = BUF_INIT(WIRE_PAYLOAD_MAX);
	int error = 0;
	do {
		struct str piece = str_slice(bytes, 0, WIRE_CHUNK);
		bytes = str_skip(bytes, piece.len);
		buf_clear(&frame);
		cleanup_content_write(&frame, &(struct cleanup_content){.bytes = piece});
		error = ipc_send(m->exchange, cleanup_content_type, buf_str(&frame),
		    last && bytes.len == 0, deadline);
	} while (error == 0 && bytes.len > 0);
	return error;
}

/* What was not sent yet. */
static struct str content(const struct cleanup_message *m)
{
	return str_skip(buf_str(&m->frame), m->envelope);
}

int cleanup_message_add(struct cleanup_message *m, struct str bytes, int64_t deadline)
{
	ENSURE(m->submitted);
	if (m->exchange == NULL && content(m).len + bytes.len <= WIRE_SMALL_MESSAGE) {
		buf_add_str(&m->frame, bytes);
		return 0;
	}
	int error = m->exchange == NULL ? stream_start(m, deadline) : 0;
	if (error == 0 && content(m).len > 0)
		error = send_content(m, content(m), false, deadline);
	buf_free(&m->frame);
	return error != 0 ? error : send_content(m, bytes, false, deadline);
}

int cleanup_message_late(
    struct cleanup_message *m, const struct cleanup_late *late, int64_t deadline)
{
	ENSURE(m->submitted);
	CLEANUP(buf_free) struct buf frame = BUF_INIT(WIRE_PAYLOAD_MAX);
	cleanup_late_write(&frame, late);
	if (!buf_ok(&frame))
		return -EMSGSIZE;
	int error = m->exchange == NULL ? stream_start(m, deadline) : 0;
	return error != 0 ? error
			  : ipc_send(m->exchange, cleanup_late_type, buf_str(&frame),
				IPC_MORE, deadline);
}

/* One frame for all of a small message: its content gets its length. */
static int send_small(struct cleanup_message *m, int64_t deadline)
{
	int error = exchange_open(m, deadline);
	if (error != 0)
		return error;
	if (!buf_ok(&m->frame))
		return -EMSGSIZE;
	put_le32(m->frame.p + m->envelope - sizeof(uint32_t), (uint32_t)content(m).len);
	return ipc_send(
	    m->exchange, cleanup_submit_type, buf_str(&m->frame), IPC_LAST, deadline);
}

static int read_result(struct str payload, struct cleanup_result *r)
{
	struct arena *arena = arena_new(16384);
	struct cleanup_done done;
	int error = 0;
	if (!cleanup_done_read(payload, arena, &done) || done.status > CLEANUP_TABLE ||
	    !str_to_cstr(done.id, r->id, sizeof(r->id)) ||
	    !str_to_cstr(done.reason, r->reason, sizeof(r->reason)))
		error = -EBADMSG;
	else
		r->status = (enum cleanup_status)done.status, r->size = done.size;
	arena_free(arena);
	return error;
}

int cleanup_message_finish(
    struct cleanup_message *m, int64_t deadline, struct cleanup_result *r)
{
	ENSURE(m->submitted);
	int error;
	if (m->exchange == NULL)
		error = send_small(m, deadline);
	else
		error = send_content(m, content(m), true, deadline);
	uint16_t type;
	struct str payload;
	if (error == 0)
		error = ipc_receive(m->exchange, &type, &payload, deadline);
	if (error == 0)
		error = type == cleanup_done_type ? read_result(payload, r) : -EBADMSG;
	m->stored = error == 0;
	return error;
}

/* An id that somebody has seen is taken back by its name; the others go with the
 * connection, or back into the stock. */
static void id_give_back(struct cleanup_message *m)
{
	struct cleanup_client *c = m->client;
	if (m->reserved.id[0] == '\0' || m->exchange != NULL)
		return;
	if (!m->shown && c->count < CLEANUP_IDS_MAX) {
		c->stock[c->count++] = m->reserved;
		return;
	}
	CLEANUP(buf_free) struct buf request = BUF_INIT(256);
	cleanup_release_write(
	    &request, &(struct cleanup_release){.id = str_of(m->reserved.id)});
	ipc_notify(c->ipc, cleanup_release_type, buf_str(&request));
}

void cleanup_message_free(struct cleanup_message *m)
{
	if (m == NULL)
		return;
	id_give_back(m);
	if (m->exchange != NULL)
		ipc_end(m->exchange);
	buf_free(&m->frame);
	free(m);
}

static const struct {
	int code;
	const char *dsn, *text;
} rows[] = {
#define CLEANUP_STATUS_ROW(name, code, status, text) [name] = {code, status, text},
    CLEANUP_STATUS(CLEANUP_STATUS_ROW)
#undef CLEANUP_STATUS_ROW
};

uint32_t cleanup_detect_utf8(const char *classes, const char *mail_class)
{
	struct str list = str_of(classes);
	return str_list_has(list, mail_class) || str_list_has(list, "all")
	    ? CLEANUP_DETECT_UTF8
	    : 0;
}

uint32_t cleanup_receive_flags(const char *options)
{
	static const struct {
		const char *name;
		uint32_t off;
	} rows_off[] = {
	    {"no_address_mappings", CLEANUP_MAP | CLEANUP_BCC},
	    {"no_header_body_checks", CLEANUP_FILTER},
	};
	uint32_t flags = CLEANUP_EXTERNAL;
	struct str rest = str_of(options), word;
	while (str_next(&rest, " \t\r\n,", &word))
		for (size_t i = 0; i < ARRAY_SIZE(rows_off); i++)
			if (str_is_nocase(word, rows_off[i].name))
				flags &= ~rows_off[i].off;
	return flags;
}

struct cleanup_reply cleanup_result_reply(const struct cleanup_result *r)
{
	struct cleanup_reply reply = {.code = cleanup_status_code(r->status),
	    .text = r->reason[0] != '\0' ? r->reason : cleanup_status_text(r->status)};
	struct str reason = str_of(r->reason);
	size_t length = dsn_status_at(reason);
	struct str dsn =
	    length > 0 ? str_slice(reason, 0, length) : str_of(rows[r->status].dsn);
	ENSURE(str_to_cstr(dsn, reply.dsn, sizeof(reply.dsn)));
	if (length == 0)
		return reply;
	reply.text += length;
	while (*reply.text == ' ')
		reply.text++;
	if (reply.dsn[0] == '4' && reply.code >= 500)
		reply.code = 451;
	return reply;
}

int cleanup_status_code(enum cleanup_status status)
{
	return rows[status].code;
}

const char *cleanup_status_text(enum cleanup_status status)
{
	return rows[status].text;
}
