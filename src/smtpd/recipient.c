/* Where a recipient would go, and whether the tables of its class know it. */

#include "base/clock.h"
#include "mail/address_maps.h"
#include "mail/verify_sender.h"
#include "smtpd/restriction.h"

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

static enum verdict unknown_user(
    struct evaluation *e, struct str address, const struct class_row *row)
{
	bool shows = smtpd.params.show_user_unknown_table_name;
	return refuse(e, row->code, row->code < 500 ? "4.1.1" : "5.1.1",
	    "<%.*s>: Recipient address rejected: User unknown%s%s%s", STR_ARG(address),
	    shows ? " in " : "", shows ? row->table : "", shows ? " table" : "");
}

enum verdict recipient_try_later(struct evaluation *e, struct str address)
{
	return refuse(
	    e, 451, "4.3.0", "<%.*s>: Temporary lookup failure", STR_ARG(address));
}

/* Mail that would bounce at once is refused: the error and retry services' texts. */
static enum verdict check_transport(
    struct evaluation *e, struct str address, const struct resolved *r)
{
	bool error = str_is(r->transport, "error"), retry = str_is(r->transport, "retry");
	if (!error && !retry)
		return VERDICT_DUNNO;
	struct str reason = r->nexthop;
	size_t status = dsn_status_at(reason);
	char code[DSN_STATUS_MAX] = "5.1.1";
	if (retry)
		code[0] = '4';
	if (status > 0 && str_to_cstr(str_slice(reason, 0, status), code, sizeof(code)))
		reason = str_trim(str_skip(reason, status));
	return refuse(e, error ? 550 : 450, code,
	    "<%.*s>: Recipient address rejected: %.*s", STR_ARG(address),
	    STR_ARG(reason));
}

/* `key` is looked up; replies show the address as the client gave it. */
static enum verdict check_table(
    struct evaluation *e, struct str key, struct str shown, const struct class_row *row)
{
	if (row->maps != NULL && maps_empty(row->maps))
		return VERDICT_DUNNO;
	enum table_result found =
	    row->maps != NULL ? find(row->maps, key, row->bare_user) : TABLE_ABSENT;
	if (found == TABLE_ABSENT)
		return unknown_user(e, shown, row);
	return found == TABLE_FOUND ? VERDICT_DUNNO : recipient_try_later(e, shown);
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

enum verdict recipient_check_listed(
    struct evaluation *e, struct str address, const struct resolved *r)
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
		return recipient_try_later(e, address);
	switch (find_mapped(r)) {
	case TABLE_FOUND:
		return VERDICT_DUNNO;
	case TABLE_ABSENT:
		break;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		return recipient_try_later(e, address);
	}
	if (!(r->flags & RESOLVE_CLASS_VIRTUAL_ALIAS) &&
	    check_transport(e, address, r) == VERDICT_REJECT)
		return VERDICT_REJECT;
	if ((r->flags & RESOLVE_CLASS_LOCAL) &&
	    is_always_known(address_split(r->recipient).local))
		return VERDICT_DUNNO;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (r->flags & rows[i].flag)
			return check_table(e, r->recipient, address, &rows[i]);
	return VERDICT_DUNNO;
}
