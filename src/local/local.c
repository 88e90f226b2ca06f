/*
 * local: delivers to users of this machine: aliases first, then the user's mailbox, then
 * luser_relay.
 *
 * Reads from strangers: recipient addresses and, through queue files, message content;
 * content is read only in a child with the recipient's rights. Runs with effective uid
 * mail_owner; root is effective only around fork and setuid. Must not be jailed. One
 * client a process. If it died here, the message would be delivered again: a recipient is
 * marked after its mail is on disk.
 */
#include "local/local.h"

#include "base/log.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "deliver/mailbox_lock.h"
#include "deliver/message_copy.h"
#include "table/source.h"

struct local_state local;

/* A message that was here before, on its way to the same address, goes round in a loop.
 */
static bool is_loop(const struct local_recipient *r, struct why *why)
{
	bool found;
	int error = message_has_delivered_to(r->delivery, r->address, &found);
	if (error != 0) {
		(void)why_system(why, -error, "read message header");
		return true;
	}
	if (found)
		(void)why_never(
		    why, "5.4.6", "mail forwarding loop for %.*s", STR_ARG(r->address));
	return found;
}

/* Delivery to one recipient; true with what the log shows in `text`. */
static bool deliver_recipient(
    const struct local_recipient *r, struct buf *text, struct why *why)
{
	if (is_loop(r, why))
		return false;
	switch (alias_deliver(r, text, why)) {
	case ALIAS_FORWARDED:
		return true;
	case ALIAS_FAILED:
		return false;
	case ALIAS_NONE:
	case ALIAS_SELF:
		break;
	}
	enum user_result result = user_deliver(r, text, why);
	if (result == USER_NONE)
		result = luser_deliver(r, text, why);
	if (result == USER_NONE)
		(void)why_never(why, "5.1.1", "unknown user: \"%.*s\"", STR_ARG(r->base));
	return result == USER_DELIVERED;
}

/* Local parts of this machine do not differ by case. */
static bool recipient_init(struct local_recipient *r, struct delivery *d, size_t index)
{
	*r = (struct local_recipient){.delivery = d,
	    .index = index,
	    .address = d->recipients[index].request->address};
	struct buf folded = BUF_INIT(ADDRESS_MAX);
	table_fold(&folded, address_split(r->address).local);
	r->name = arena_str(d->arena, buf_str(&folded));
	buf_free(&folded);
	if (r->name.p == NULL)
		return false;
	struct address_extension split =
	    address_split_extension(r->name, service_common()->recipient_delimiter,
		service_common()->double_bounce_sender);
	r->base = split.base;
	r->extension = split.extension.p != NULL ? split.extension : STR_EMPTY;
	return true;
}

static void deliver(struct delivery *d)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	struct why why;
	why_init(&why);
	for (size_t i = 0; i < d->count; i++) {
		struct local_recipient r;
		why_clear(&why);
		buf_clear(&text);
		if (!recipient_init(&r, d, i))
			(void)why_later(&why, "4.3.0", "out of memory for this request");
		else if (deliver_recipient(&r, &text, &why)) {
			delivery_sent(d, i, STR_EMPTY, 0, "2.0.0", buf_str(&text));
			continue;
		}
		delivery_failed(d, i, STR_EMPTY, &why);
	}
	why_free(&why);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "local", deliver);
}

static bool is_in_list(struct str list, const char *name)
{
	struct str word;
	while (str_next(&list, " \t\r\n,", &word))
		if (str_is_nocase(word, name))
			return true;
	return false;
}

static void before_jail(void)
{
	delivery_before_jail(service_common());
	local.propagate_alias =
	    is_in_list(str_of(local.params.propagate_unmatched_extensions), "alias");
	const char *locks = local.params.mailbox_delivery_lock;
	if (!mailbox_lock_parse(str_of(locks), &local.lock_styles))
		fatal("bad value of parameter mailbox_delivery_lock: %s", locks);
	local.aliases =
	    maps_open("alias_maps", local.params.alias_maps, TABLE_FOLD | TABLE_ALIASES);
}

static void started(void)
{
	const struct common_params *common = service_common();
	local.owner = owner_of(common);
	delivery_open(common, local.owner.uid);
	local.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name), 2);
}

static bool stale(void)
{
	return maps_changed(local.aliases);
}

static const struct service local_service = {
    .name = "local",
    .params = local_param_table,
    .values = &local.params,
    .sandbox = SANDBOX_ROOT,
    .root = true,
    .no_threads = true,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&local_service, argc, argv);
}
