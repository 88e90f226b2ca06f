/* Recipients on their way into the file: completed, replaced by their virtual aliases
 * (virtual(5)), each once. */

#include "base/log.h"
#include "base/memory.h"
#include "cleanup/mapping.h"
#include "mail/address_list.h"

#define ALIAS_TOKENS_MAX 100000

/* "user@host.domain" stays as it is under every rewriting rule: no need to ask. */
static bool is_complete(struct str address)
{
	struct address_parts parts = address_split(address);
	if (parts.domain.len == 0 || parts.local.len == 0 || parts.local.p[0] == '@')
		return false;
	return str_find(parts.domain, '.') > 0 &&
	    parts.domain.p[parts.domain.len - 1] != '.';
}

struct str address_complete(
    struct message *m, struct str address, enum rewrite_context context)
{
	struct str result;
	if (is_complete(address))
		return address;
	int error =
	    rewrite_addresses(cleanup.rewrite, context, &address, 1, m->arena, &result);
	if (error == 0)
		return result;
	log_warning("%s: rewrite service: %s", m->id, strerror(-error));
	message_fail(m, CLEANUP_DEFER, "");
	return address;
}

struct virtual_aliases {
	struct address_table table;
};

struct virtual_aliases *recipients_open(void)
{
	struct virtual_aliases *aliases = memory_alloc(sizeof(*aliases));
	lookup_open(&aliases->table, "virtual_alias_maps",
	    cleanup.params.virtual_alias_maps, "virtual");
	if (aliases->table.maps != NULL)
		return aliases;
	free(aliases);
	return NULL;
}

bool recipients_changed(struct virtual_aliases *aliases)
{
	return aliases != NULL && lookup_changed(&aliases->table);
}

/* One recipient and everything that it expands to. */
struct expansion {
	struct message *message;
	const struct cleanup_recipient *source;
	struct str original;
	struct str mapped; /* before virtual aliases */
	bool is_copy;      /* BCC */
	uint32_t notify;   /* of what it expands to (enum dsn_notify) */
	unsigned depth;
	unsigned count;
	struct str extension; /* unmatched, of the alias that is being expanded */
	struct str parent;    /* its address */
};

/* The same address for the same reason comes once. */
static bool is_duplicate(struct expansion *x, struct str address, struct str orcpt)
{
	struct map *seen = x->message->recipients;
	if ((int64_t)map_count(seen) >= cleanup.params.duplicate_filter_limit)
		return false;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 4);
	table_fold(&key, address);
	buf_add_char(&key, '\0');
	table_fold(&key, x->original);
	buf_add_char(&key, '\0');
	table_fold(&key, orcpt);
	return map_set(seen, buf_str(&key), x->message) != NULL;
}

/* RFC 3461 4.2: what the sender said, by SMTP. A local submitter says less than a full
 * address: there it is the address that the recipient has here. */
static void add_orcpt(const struct expansion *x, struct buf *orcpt)
{
	bool local = (x->message->envelope.flags & CLEANUP_BOUNCE) != 0;
	if (x->is_copy)
		return;
	if (x->source->dsn_orcpt.len > 0) {
		buf_add_str(orcpt, x->source->dsn_orcpt);
		return;
	}
	buf_add_cstr(orcpt, "rfc822;");
	buf_add_str(orcpt, local ? x->mapped : x->original);
}

static void write_recipient(struct expansion *x, struct str address)
{
	struct message *m = x->message;
	CLEANUP(buf_free) struct buf orcpt = BUF_INIT(ADDRESS_MAX * 2);
	add_orcpt(x, &orcpt);
	if (is_duplicate(x, address, buf_str(&orcpt)))
		return;
	struct queue_write_recipient r = {
	    .address = address,
	    .original =
		cleanup.params.enable_original_recipient ? x->original : STR_EMPTY,
	    .dsn_orcpt = buf_str(&orcpt),
	    .notify = x->notify,
	};
	message_detect_utf8(m, address);
	queue_recipient_records(&m->out, &r);
	m->size.recipients++;
	m->size.flags |= (int64_t)r.notify << 1;
	message_write_out(m);
}

static void expansion_trouble(
    const struct expansion *x, const char *what, struct str address)
{
	log_warning(
	    "%s: unreasonable virtual_alias_maps %s %.*s%s -- message not accepted, "
	    "try again later",
	    x->message->id, what, STR_ARG(str_slice(address, 0, 100)),
	    str_is(str_of(what), "result") ? "..." : "");
	message_fail(x->message, CLEANUP_DEFER, "4.6.0 Alias expansion error");
}

static void expand(struct expansion *x, struct str address);

/* An alias's member; an extension that the alias did not match goes along. */
static bool expand_member(
    void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct expansion *x = context;
	struct message *m = x->message;
	if (++x->count > (unsigned)cleanup.params.virtual_alias_expansion_limit) {
		expansion_trouble(x, "map expansion size for", x->original);
		return false;
	}
	struct str address = lookup_result(m, internal, x->parent, x->extension);
	if (address.p == NULL) {
		message_fail(m, CLEANUP_TABLE, "");
		return false;
	}
	if ((int64_t)address.len > cleanup.params.virtual_alias_address_length_limit) {
		expansion_trouble(x, "result", address);
		return false;
	}
	if (str_equal_nocase(address, x->parent)) /* an alias that names itself */
		write_recipient(x, address);
	else
		expand(x, address);
	return m->status == CLEANUP_OK;
}

static void expand_value(
    struct expansion *x, struct str address, struct str value, struct str extension)
{
	struct expansion inner = *x;
	inner.depth++;
	inner.parent = address;
	inner.extension = extension;
	if (inner.depth >= (unsigned)cleanup.params.virtual_alias_recursion_limit)
		expansion_trouble(&inner, "map nesting for", x->original);
	else
		(void)address_list_walk(
		    value, ALIAS_TOKENS_MAX, expand_member, &inner, NULL);
	x->count = inner.count;
}

/* Trouble was recorded by the lookup. */
static void expand(struct expansion *x, struct str address)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	enum table_result found = lookup_address(
	    x->message, &cleanup.virtual_aliases->table, address, &value, &extension);
	if (found == TABLE_ABSENT)
		write_recipient(x, address);
	else if (found == TABLE_FOUND)
		expand_value(x, address, buf_str(&value), buf_str(&extension));
}

/* Does the alias name its own address, and no other? */
struct only_itself {
	struct expansion *expansion;
	struct str address, extension;
	bool others;
};

static bool is_itself(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct only_itself *o = context;
	struct str member =
	    lookup_result(o->expansion->message, internal, o->address, o->extension);
	o->others = !str_equal_nocase(member, o->address);
	return !o->others;
}

static bool becomes_others(struct expansion *x, struct str address)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (lookup_address(x->message, &cleanup.virtual_aliases->table, address, &value,
		&extension) != TABLE_FOUND)
		return false;
	struct only_itself o = {
	    .expansion = x, .address = address, .extension = buf_str(&extension)};
	(void)address_list_walk(buf_str(&value), ALIAS_TOKENS_MAX, is_itself, &o, NULL);
	return o.others;
}

/* Who wants to hear of success hears of the alias, and then of failure alone, if at all.
 */
static void tell_of_alias(struct expansion *x, struct str address)
{
	struct message *m = x->message;
	CLEANUP(buf_free) struct buf orcpt = BUF_INIT(ADDRESS_MAX * 2);
	if ((x->notify & DSN_NOTIFY_SUCCESS) == 0 || !becomes_others(x, address))
		return;
	add_orcpt(x, &orcpt);
	expanded_add(m, x->source, address, x->original, buf_str(&orcpt),
	    m->offset + (int64_t)m->out.len);
	x->notify &= ~(uint32_t)DSN_NOTIFY_SUCCESS;
	if (x->notify == 0)
		x->notify = DSN_NOTIFY_NEVER;
}

static void add_expanded(struct expansion *x, struct str address)
{
	struct message *m = x->message;
	if (m->status != CLEANUP_OK)
		return;
	x->mapped = address;
	if (!x->is_copy)
		m->last_recipient = address;
	if (!(m->envelope.flags & CLEANUP_MAP) || cleanup.virtual_aliases == NULL) {
		write_recipient(x, address);
	} else {
		tell_of_alias(x, address);
		expand(x, address);
	}
}

static struct str recipient_address(struct message *m, struct str address)
{
	address = address_complete(m, address, REWRITE_LOCAL);
	return mapping_apply(m, address, USE_ENVELOPE_RECIPIENT);
}

/* What was written for a probe goes again when it is of several; more than `out` holds
 * is not waited for, and each of them is asked. */
static void add_probed(struct message *m, struct expansion *x, struct str address)
{
	size_t len = m->out.len;
	int64_t begin = m->offset;
	int64_t count = m->size.recipients;
	add_expanded(x, address);
	if (m->size.recipients - count < 2 || m->offset != begin)
		return;
	buf_truncate(&m->out, len);
	m->size.recipients = count;
	probe_answer(m, x->original);
}

static void add_one(struct message *m, const struct cleanup_recipient *r)
{
	struct str address = recipient_address(m, r->address);
	struct expansion x = {
	    .message = m,
	    .source = r,
	    .original = r->original.len > 0 ? r->original : r->address,
	    .notify = r->notify,
	};
	if (m->envelope.flags & CLEANUP_PROBE) {
		add_probed(m, &x, address);
		return;
	}
	add_expanded(&x, address);
	bcc_of_recipient(m, address);
}

void recipients_add_bcc(struct message *m, struct str address)
{
	const struct cleanup_recipient r = {
	    .address = arena_str(m->arena, address), .notify = DSN_NOTIFY_NEVER};
	if (r.address.p == NULL || r.address.len > ADDRESS_MAX) {
		message_fail(m, CLEANUP_TABLE, "");
		return;
	}
	struct str complete = recipient_address(m, r.address);
	struct expansion x = {.message = m,
	    .source = &r,
	    .original = complete,
	    .is_copy = true,
	    .notify = r.notify};
	add_expanded(&x, complete);
}

void recipients_add(
    struct message *m, const struct cleanup_recipient *list, uint32_t count)
{
	for (uint32_t i = 0; i < count && m->status == CLEANUP_OK; i++)
		add_one(m, &list[i]);
}
