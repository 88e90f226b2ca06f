/* Members that do not end here go on as new messages, one for each sender (a list's owner
 * or the message's own), so that each has a status of its own. A Delivered-To field
 * breaks loops. */
#include <string.h>

#include "base/clock.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "local/local.h"
#include "mail/received.h"
#include "table/source.h"

struct batch {
	struct batch *next;
	struct str sender;
	bool owned;
	struct cleanup_recipient *list;
	size_t count, room;
};

/* A list's owner is the new sender: the old one's name for it (RFC 3461) says nothing to
 * him. */
static void fill_recipient(
    const struct member *m, struct str address, struct cleanup_recipient *out)
{
	const struct delivery_recipient *r =
	    m->tree->delivery->recipients[m->tree->index].request;
	*out = (struct cleanup_recipient){.address = address, .notify = r->notify};
	if (m->owned)
		return;
	out->original = r->original.len > 0 ? r->original : r->address;
	out->dsn_orcpt = r->dsn_orcpt;
}

static struct batch *find_batch(const struct member *m)
{
	struct batch **at = &m->tree->batches;
	while (*at != NULL &&
	    ((*at)->owned != m->owned || !str_equal((*at)->sender, m->sender)))
		at = &(*at)->next;
	if (*at == NULL)
		*at = arena_alloc(m->tree->delivery->arena, sizeof(**at));
	if (*at != NULL) {
		(*at)->sender = m->sender;
		(*at)->owned = m->owned;
	}
	return *at;
}

static bool add(const struct member *m)
{
	struct batch *b = find_batch(m);
	if (b == NULL)
		return false;
	if (b->count == b->room) {
		size_t room = b->room == 0 ? 16 : b->room * 2;
		struct cleanup_recipient *list =
		    arena_alloc_array(m->tree->delivery->arena, room, sizeof(*list));
		if (list == NULL)
			return false;
		for (size_t i = 0; i < b->count; i++)
			list[i] = b->list[i];
		b->list = list;
		b->room = room;
	}
	fill_recipient(m, m->address, &b->list[b->count++]);
	return true;
}

void resubmit_add(const struct member *m)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 2);
	for (size_t i = 0; i < m->address.len; i++)
		buf_add_char(&key, ascii_lower(m->address.p[i]));
	if (!member_is_new(m, 'R', buf_str(&key)))
		return;
	if (member_is_probe(m))
		member_sent(m, "forwards to %.*s", STR_ARG(m->address));
	else if (!add(m))
		member_later(m, "4.3.0", "out of memory for this request");
}

/* Our Received field, and below it who this was delivered to, in lower case. */
static void add_trace_fields(
    struct buf *out, const struct delivery *d, size_t index, const char *id)
{
	const struct common_params *common = service_common();
	struct address_parts to = address_split(d->recipients[index].request->address);
	CLEANUP(buf_free) struct buf folded = BUF_INIT(ADDRESS_MAX);
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = clock_wall_seconds(),
		.uid = -1});
	if (!(local.prepend & PREPEND_FORWARD))
		return;
	table_fold(&folded, to.local);
	if (to.domain.p != NULL)
		buf_printf(&folded, "@%.*s", STR_ARG(to.domain));
	buf_add_cstr(out, "\nDelivered-To: ");
	address_quote(out, buf_str(&folded));
}

static int submit(struct tree *t, const struct batch *b, struct cleanup_message *m,
    struct cleanup_result *result)
{
	struct delivery *d = t->delivery;
	const struct delivery_request *request = &d->request;
	int64_t deadline = service_client_deadline(service_common());
	CLEANUP(buf_free) struct buf trace = BUF_INIT(4096);
	add_trace_fields(&trace, d, t->index, cleanup_message_id(m));
	struct timeval now = clock_wall();
	struct str origin = str_of(queue_attribute(&d->envelope, "rewrite_context"));
	struct cleanup_attribute context = {.name = STR("rewrite_context"),
	    .value = origin.len > 0 ? origin : STR("local")};
	struct cleanup_submit envelope = {
	    .flags =
		CLEANUP_MAP | (str_is(context.value, "local") ? CLEANUP_COMPLETE : 0),
	    .sendopts = request->sendopts,
	    .arrival_seconds = now.tv_sec,
	    .arrival_microseconds = (uint32_t)now.tv_usec,
	    .sender = b->sender,
	    .envelope_id = b->owned ? STR_EMPTY : request->envelope_id,
	    .ret = b->owned ? 0 : request->ret,
	    .received = buf_str(&trace),
	    .attributes = &context,
	    .attributes_count = 1,
	    .recipients = b->list,
	    .recipients_count = (uint32_t)b->count,
	};
	int error = cleanup_message_begin(m, &envelope, deadline);
	if (error == 0)
		error = cleanup_message_copy(m, &d->file, &d->envelope, false, deadline);
	return error != 0 ? error : cleanup_message_finish(m, deadline, result);
}

static void resubmit(struct tree *t, const struct batch *b)
{
	/* What tells of it is the recipient, as a part of itself. */
	const struct member m = {.tree = t,
	    .address = t->delivery->recipients[t->index].request->address,
	    .sender = b->sender};
	struct cleanup_result result = {.status = CLEANUP_BAD};
	int error = 0;
	struct cleanup_message *message = cleanup_message_new(
	    local.cleanup, service_client_deadline(service_common()), &error);
	if (message != NULL) {
		error = submit(t, b, message, &result);
		cleanup_message_free(message);
	}
	if (error != 0)
		member_later(&m, "4.3.0", "forward message: %s", strerror(-error));
	else if (result.status != CLEANUP_OK)
		member_later(&m, "4.3.0", "forward message: %s",
		    cleanup_status_text(result.status));
	else
		member_sent(&m, "forwarded as %s", result.id);
}

void resubmit_all(struct tree *t)
{
	/* What is left is tried again as a whole, and these would get it twice. */
	if (t->batches == NULL || delivery_is_left(t->delivery, t->index))
		return;
	for (const struct batch *b = t->batches; b != NULL; b = b->next)
		resubmit(t, b);
}
