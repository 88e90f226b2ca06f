/* Where a recipient would go, and whether the tables of its class know it. */
#include <errno.h>

#include "base/clock.h"
#include "mail/address_maps.h"
#include "mail/reply.h"
#include "mail/verify_sender.h"
#include "smtpd/smtpd.h"

int recipient_resolve(
    struct str sender, struct str address, struct arena *a, struct resolved *r)
{
	struct resolve_question q = {.sender = sender, .how = RESOLVE_COMPLETE};
	return rewrite_resolve(smtpd.rewrite, q, &address, 1, a, r);
}

/* Whose bare-user keys count: everything that resolved to this machine. */
static bool always_local(UNUSED void *context, UNUSED struct str domain)
{
	return true;
}

static enum table_result find(struct maps *maps, struct str address, bool bare_user)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	struct address_maps_query query = {
	    .maps = maps,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_DOMAIN | (bare_user ? ADDRESS_MAPS_USER : 0),
	    .is_local = bare_user ? always_local : NULL,
	};
	return address_maps_lookup(&query, address, &value, &extension);
}

struct class_row {
	struct maps *maps; /* NULL: nobody is in it; empty: everybody is */
	const char *table;
	int64_t code;
	uint32_t flag;
	bool bare_user;
};

/* Writes the refusal: "550 5.1.1 <a@b>: Recipient address rejected: User unknown in ..."
 */
static bool unknown_user(
    struct str address, const struct class_row *row, struct buf *reply)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX + 256);
	buf_printf(
	    &text, "<%.*s>: Recipient address rejected: User unknown", STR_ARG(address));
	if (smtpd.params.show_user_unknown_table_name)
		buf_printf(&text, " in %s table", row->table);
	reply_write(
	    reply, (int)row->code, row->code < 500 ? "4.1.1" : "5.1.1", buf_str(&text));
	return false;
}

static bool try_later(struct str address, struct buf *reply)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX + 256);
	buf_printf(&text, "<%.*s>: Temporary lookup failure", STR_ARG(address));
	reply_write(reply, 451, "4.3.0", buf_str(&text));
	return false;
}

/* Mail that would bounce at once is refused: the error and retry services' texts. */
static bool is_refused_by_transport(
    struct str address, const struct resolved *r, struct buf *reply)
{
	bool error = str_is(r->transport, "error"), retry = str_is(r->transport, "retry");
	if (!error && !retry)
		return false;
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX + 2400);
	struct str reason = r->nexthop;
	size_t status = dsn_status_at(reason);
	char code[DSN_STATUS_MAX] = "5.1.1";
	if (retry)
		code[0] = '4';
	if (status > 0 && str_to_cstr(str_slice(reason, 0, status), code, sizeof(code)))
		reason = str_trim(str_skip(reason, status));
	buf_printf(&text, "<%.*s>: Recipient address rejected: %.*s", STR_ARG(address),
	    STR_ARG(reason));
	reply_write(reply, error ? 550 : 450, code, buf_str(&text));
	return true;
}

/* `key` is looked up; replies show the address as the client gave it. */
static bool is_in_table(
    struct str key, struct str shown, const struct class_row *row, struct buf *reply)
{
	if (row->maps != NULL && maps_empty(row->maps))
		return true;
	enum table_result found =
	    row->maps != NULL ? find(row->maps, key, row->bare_user) : TABLE_ABSENT;
	if (found == TABLE_ABSENT)
		return unknown_user(shown, row, reply);
	return found == TABLE_FOUND || try_later(shown, reply);
}

/* RFC 5321 4.5.1; the mail system's own names, and no name, which stands for them. */
static bool is_always_known(struct str local)
{
	return local.len == 0 || str_is_nocase(local, "postmaster") ||
	    str_is_nocase(local, "mailer-daemon") ||
	    str_is_nocase(local, service_common()->double_bounce_sender);
}

/* What cleanup will map is known, whatever its class. */
static enum table_result find_mapped(const struct resolved *r)
{
	struct maps *const all[] = {
	    smtpd.recipient_canonicals, smtpd.canonicals, smtpd.virtual_aliases};
	bool local = (r->flags & RESOLVE_CLASS_LOCAL) != 0;
	enum table_result result = TABLE_ABSENT;
	for (size_t i = 0; result == TABLE_ABSENT && i < ARRAY_SIZE(all); i++)
		if (!maps_empty(all[i]))
			result = find(all[i], r->recipient, local);
	return result;
}

bool recipient_is_probe_sender(struct str address)
{
	const struct verify_sender sender = {
	    .address = str_of(smtpd.params.address_verify_sender),
	    .origin = str_of(service_common()->myorigin),
	    .ttl = smtpd.params.address_verify_sender_ttl,
	};
	return verify_sender_is(&sender, address, clock_wall_seconds());
}

bool recipient_is_listed(struct str address, const struct resolved *r, struct buf *reply)
{
	const struct smtpd_params *p = &smtpd.params;
	const struct class_row rows[] = {
	    {smtpd.local_recipients, "local recipient",
		p->unknown_local_recipient_reject_code, RESOLVE_CLASS_LOCAL, true},
	    {NULL /* asked above */, "virtual alias",
		p->unknown_virtual_alias_reject_code, RESOLVE_CLASS_VIRTUAL_ALIAS, false},
	    {smtpd.virtual_mailboxes, "virtual mailbox",
		p->unknown_virtual_mailbox_reject_code, RESOLVE_CLASS_VIRTUAL_MAILBOX,
		false},
	    {smtpd.relay_recipients, "relay recipient",
		p->unknown_relay_recipient_reject_code, RESOLVE_CLASS_RELAY, false},
	};
	if (r->flags & RESOLVE_TRY_LATER)
		return try_later(address, reply);
	switch (find_mapped(r)) {
	case TABLE_FOUND:
		return true;
	case TABLE_ABSENT:
		break;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		return try_later(address, reply);
	}
	if (!(r->flags & RESOLVE_CLASS_VIRTUAL_ALIAS) &&
	    is_refused_by_transport(address, r, reply))
		return false;
	if ((r->flags & RESOLVE_CLASS_LOCAL) &&
	    is_always_known(address_split(r->recipient).local))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (r->flags & rows[i].flag)
			return is_in_table(r->recipient, address, &rows[i], reply);
	return true;
}
