/*
 * Aliases (aliases(5)): the members get a new message, so that each is delivered, retried
 * and bounced by itself, and a retry of one never repeats the others. A Delivered-To
 * field with the alias's address breaks loops.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "client/cleanup_copy.h"
#include "client/service_client.h"
#include "local/local.h"
#include "mail/address_list.h"
#include "mail/received.h"

#define ALIAS_MEMBERS_MAX 10000

struct members {
	struct arena *arena;
	const struct local_recipient *recipient;
	struct cleanup_recipient *list;
	uint32_t count;
	bool self, too_many;
};

/* The alias's own name among its members means the user of that name. */
static bool is_self(const struct members *m, struct str address)
{
	struct address_parts parts = address_split(address);
	if (!str_equal_nocase(parts.local, m->recipient->base))
		return false;
	return parts.domain.p == NULL ||
	    str_equal_nocase(parts.domain, address_split(m->recipient->address).domain);
}

static bool add_member(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct members *m = context;
	if (is_self(m, internal)) {
		m->self = true;
		return true;
	}
	struct str address = arena_str(m->arena, internal);
	if (m->count == ALIAS_MEMBERS_MAX || address.p == NULL) {
		m->too_many = true;
		return false;
	}
	const struct delivery_recipient *r =
	    m->recipient->delivery->recipients[m->recipient->index].request;
	m->list[m->count++] = (struct cleanup_recipient){.address = address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify};
	return true;
}

/* Commands, files and lists as members are a later issue; such mail waits. */
static bool is_only_addresses(struct str value)
{
	struct str word;
	while (str_next(&value, " \t\r\n,", &word)) {
		if (word.p[0] == '"')
			word = str_skip(word, 1);
		if (word.len > 0 &&
		    (word.p[0] == '|' || word.p[0] == '/' || word.p[0] == ':'))
			return false;
	}
	return true;
}

/* Our Received field, and below it who this was delivered to. */
static void add_trace_fields(
    struct buf *out, const struct local_recipient *r, const char *id)
{
	const struct common_params *common = service_common();
	received_write(out,
	    &(struct received){.myhostname = str_of(common->myhostname),
		.mail_name = str_of(common->mail_name),
		.queue_id = str_of(id),
		.wall_seconds = clock_wall_seconds(),
		.uid = -1});
	buf_add_cstr(out, "\nDelivered-To: ");
	address_quote(out, r->address);
}

static int submit(const struct local_recipient *r, const struct members *members,
    struct cleanup_message *m, struct cleanup_result *result)
{
	const struct delivery_request *request = &r->delivery->request;
	int64_t deadline = service_client_deadline(service_common());
	CLEANUP(buf_free) struct buf trace = BUF_INIT(4096);
	add_trace_fields(&trace, r, cleanup_message_id(m));
	struct timeval now = clock_wall();
	struct cleanup_attribute context = {
	    .name = STR("rewrite_context"), .value = STR("local")};
	struct cleanup_submit envelope = {
	    .flags = CLEANUP_MAP,
	    .sendopts = request->sendopts,
	    .arrival_seconds = now.tv_sec,
	    .arrival_microseconds = (uint32_t)now.tv_usec,
	    .sender = request->sender,
	    .envelope_id = request->envelope_id,
	    .ret = request->ret,
	    .received = buf_str(&trace),
	    .attributes = &context,
	    .attributes_count = 1,
	    .recipients = members->list,
	    .recipients_count = members->count,
	};
	int error = cleanup_message_begin(m, &envelope, deadline);
	if (error == 0)
		error = cleanup_message_copy(
		    m, &r->delivery->file, &r->delivery->envelope, false, deadline);
	return error != 0 ? error : cleanup_message_finish(m, deadline, result);
}

static bool forward(const struct local_recipient *r, const struct members *members,
    struct buf *text, struct why *why)
{
	int error;
	struct cleanup_message *m = cleanup_message_new(
	    local.cleanup, service_client_deadline(service_common()), &error);
	if (m == NULL)
		return why_system(why, -error, "forward to alias members");
	struct cleanup_result result;
	error = submit(r, members, m, &result);
	cleanup_message_free(m);
	if (error != 0)
		return why_system(why, -error, "forward to alias members");
	if (result.status != CLEANUP_OK)
		return why_later(why, "4.3.0", "forward to alias members: %s",
		    cleanup_status_text(result.status));
	buf_printf(text, "forwarded as %s", result.id);
	return true;
}

static enum alias_result expand(
    const struct local_recipient *r, struct str value, struct buf *text, struct why *why)
{
	if (!is_only_addresses(value)) {
		(void)why_later(why, "4.3.5",
		    "alias %.*s: commands, files and :include: are not supported yet",
		    STR_ARG(r->base));
		return ALIAS_FAILED;
	}
	struct arena *arena = r->delivery->arena;
	struct members members = {.arena = arena,
	    .recipient = r,
	    .list = arena_alloc_array(arena, ALIAS_MEMBERS_MAX, sizeof(*members.list))};
	if (members.list == NULL ||
	    !address_list_walk(
		value, ALIAS_MEMBERS_MAX * 4, add_member, &members, NULL) ||
	    members.too_many) {
		(void)why_later(
		    why, "4.3.0", "alias %.*s has too many members", STR_ARG(r->base));
		return ALIAS_FAILED;
	}
	if (members.count == 0)
		return ALIAS_SELF;
	if (!forward(r, &members, text, why))
		return ALIAS_FAILED;
	return members.self ? ALIAS_SELF : ALIAS_FORWARDED;
}

enum alias_result alias_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result found = maps_lookup(local.aliases, r->name, false, &value);
	if (found == TABLE_ABSENT && r->extension.len > 0)
		found = maps_lookup(local.aliases, r->base, false, &value);
	if (found == TABLE_ABSENT)
		return ALIAS_NONE;
	if (found == TABLE_FOUND)
		return expand(r, buf_str(&value), text, why);
	(void)why_later(why, "4.3.0", "alias database unavailable");
	return ALIAS_FAILED;
}
