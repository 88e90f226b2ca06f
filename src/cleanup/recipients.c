/* Recipients on their way into the file: completed, replaced by their virtual aliases
 * (virtual(5)), each once. */

#include "base/log.h"
#include "base/memory.h"
#include "cleanup/mapping.h"
#include "mail/address_list.h"
#include "queue/queue_file.h"

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

/* What is still to be looked up, depth first. */
struct member {
	struct member *next;
	struct str address;
	unsigned depth;
	bool is_its_alias; /* an alias that names itself goes no further */
};

/* One recipient and everything that it expands to. */
struct expansion {
	struct message *message;
	const struct cleanup_recipient *source;
	struct str original;
	struct str mapped; /* before virtual aliases */
	bool is_copy;      /* BCC */
	uint32_t notify;   /* of what it expands to (enum dsn_notify) */
	unsigned count;    /* of members */
	struct member *waiting;
};

/* The alias whose members are being read. */
struct alias {
	struct expansion *expansion;
	struct str address, extension; /* the latter: unmatched */
	unsigned depth;
	struct member **end; /* of its members so far */
};

static size_t seen_count(const struct message *m)
{
	if (m->recipients != NULL)
		return map_count(m->recipients);
	return m->first_recipient.len > 0 ? 1 : 0;
}

/* Most mail has one recipient: the map is made for the second. True: seen before. */
static bool see(struct message *m, struct str key)
{
	if (seen_count(m) == 0) {
		m->first_recipient = arena_str(m->arena, key);
		return false;
	}
	if (m->recipients == NULL) {
		m->recipients = map_new();
		(void)map_set(m->recipients, m->first_recipient, m);
	}
	return map_set(m->recipients, key, m) != NULL;
}

/* The same address for the same reason comes once. */
static bool is_duplicate(struct expansion *x, struct str address, struct str orcpt)
{
	if ((int64_t)seen_count(x->message) >= cleanup.params.duplicate_filter_limit)
		return false;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 4);
	table_fold(&key, address);
	buf_add_char(&key, '\0');
	table_fold(&key, x->original);
	buf_add_char(&key, '\0');
	table_fold(&key, orcpt);
	return see(x->message, buf_str(&key));
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

/* No reader of the file would take a recipient that a table spoiled. */
static bool is_usable(struct message *m, struct str address)
{
	if (queue_recipient_valid(address))
		return true;
	log_warning("%s: unusable recipient \"%.*s\" -- message not accepted, try again "
		    "later",
	    m->id, STR_ARG(str_slice(address, 0, 100)));
	message_fail(m, CLEANUP_TABLE, "");
	return false;
}

static void write_recipient(struct expansion *x, struct str address)
{
	struct message *m = x->message;
	CLEANUP(buf_free) struct buf orcpt = BUF_INIT(ADDRESS_MAX * 2);
	if (!is_usable(m, address))
		return;
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
	queue_recipient_records(m->out, &r);
	m->size.recipients++;
	m->size.flags |= (int64_t)r.notify << 1;
	message_write_out(m);
}

static void unreasonable(const struct expansion *x, const char *what, struct str address)
{
	lookup_unreasonable(
	    x->message, cleanup.virtual_aliases->table.title, what, address);
	message_fail(x->message, CLEANUP_DEFER, "4.6.0 Alias expansion error");
}

/* An alias's member; an extension that the alias did not match goes along. */
static bool add_member(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct alias *alias = context;
	struct expansion *x = alias->expansion;
	struct message *m = x->message;
	if (++x->count > (unsigned)cleanup.params.virtual_alias_expansion_limit) {
		unreasonable(x, "map expansion size for", x->original);
		return false;
	}
	struct str address = lookup_result(m, internal, alias->address, alias->extension);
	struct member *member = arena_alloc(m->arena, sizeof(*member));
	if (address.p == NULL || member == NULL) {
		message_fail(m, CLEANUP_TABLE, "");
		return false;
	}
	if ((int64_t)address.len > cleanup.params.virtual_alias_address_length_limit) {
		const char *shown = arena_printf(
		    m->arena, "%.*s...", STR_ARG(str_slice(address, 0, 100)));
		unreasonable(x, "result", str_of(shown != NULL ? shown : "..."));
		return false;
	}
	*member = (struct member){.address = address,
	    .depth = alias->depth,
	    .is_its_alias = str_equal_nocase(address, alias->address)};
	*alias->end = member;
	alias->end = &member->next;
	return true;
}

/* Its members take its place. Trouble was recorded by the lookup. */
static void expand_member(struct expansion *x, const struct member *member)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	enum table_result found = member->is_its_alias
	    ? TABLE_ABSENT
	    : lookup_address(x->message, &cleanup.virtual_aliases->table, member->address,
		  &value, &extension);
	if (found == TABLE_ABSENT)
		write_recipient(x, member->address);
	if (found != TABLE_FOUND)
		return;
	struct member *members = NULL;
	struct alias alias = {.expansion = x,
	    .address = member->address,
	    .extension = buf_str(&extension),
	    .depth = member->depth + 1,
	    .end = &members};
	if (alias.depth >= (unsigned)cleanup.params.virtual_alias_recursion_limit) {
		unreasonable(x, "map nesting for", x->original);
		return;
	}
	(void)address_list_walk(
	    buf_str(&value), ALIAS_TOKENS_MAX, add_member, &alias, NULL);
	*alias.end = x->waiting;
	x->waiting = members;
}

/* However deep aliases are nested, the stack is not. */
static void expand(struct expansion *x, struct str address)
{
	const struct member first = {.address = address};
	expand_member(x, &first);
	while (x->waiting != NULL && x->message->status == CLEANUP_OK) {
		const struct member *member = x->waiting;
		x->waiting = member->next;
		expand_member(x, member);
	}
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
	expanded_add(
	    m, x->source, address, x->original, buf_str(&orcpt), message_position(m));
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
	size_t len = m->out->len;
	int64_t written = commit_written(m->slot);
	int64_t count = m->size.recipients;
	add_expanded(x, address);
	if (m->size.recipients - count < 2 || commit_written(m->slot) != written)
		return;
	buf_truncate(m->out, len);
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
