/*
 * local: delivers to users of this machine: aliases, .forward files, commands, mailboxes,
 * files, other transports, and luser_relay.
 *
 * Reads from strangers: recipient addresses and, through queue files, message content;
 * content and the files of users are read only in a child with the user's rights. Runs
 * with effective uid mail_owner; root is effective only around fork and setuid. Must not
 * be jailed. One client a process. If it died here, the message would be delivered again:
 * a recipient is marked after its mail is on disk.
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
static bool is_loop(const struct member *m)
{
	struct delivered_to fields;
	if (m->tree->untraced)
		return false;
	int error = message_delivered_to(m->tree->delivery, m->address, &fields);
	if (error != 0) {
		member_later(m, "4.3.0", "read message header: %s", strerror(-error));
		return true;
	}
	m->tree->untraced = !fields.any;
	if (fields.found)
		member_never(
		    m, "5.4.6", "mail forwarding loop for %.*s", STR_ARG(m->address));
	return fields.found;
}

/* luser_relay: mail for nobody goes to the address that it gives, if it is set. */
static bool relay_deliver(const struct member *m)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX);
	if (local.params.luser_relay[0] == '\0' || m->relayed)
		return false;
	if (!variables_expand(m, NULL, local.params.luser_relay, NULL, &address, NULL) ||
	    address.len == 0) {
		log_warning(
		    "bad value of parameter luser_relay: %s", local.params.luser_relay);
		member_later(m, "4.3.5", "mail system configuration error");
		return true;
	}
	struct str text = buf_str(&address);
	bool escaped = str_starts(text, STR("\\"));
	items_deliver_address(m, escaped ? str_skip(text, 1) : text);
	return true;
}

/* Mail to those whom RFC 5321 4.5.1 wants is not returned where nobody set them up. */
static bool is_required(struct str name)
{
	return str_is_nocase(name, "postmaster") || str_is_nocase(name, "mailer-daemon");
}

static void unknown_deliver(const struct member *m)
{
	if (pass_deliver(m, local.fallback_transports, "fallback_transport_maps",
		local.params.fallback_transport) ||
	    relay_deliver(m))
		return;
	if (is_required(m->base)) {
		log_warning("required alias not found: %.*s", STR_ARG(m->base));
		member_sent(m, "discarded");
		return;
	}
	member_never(m, "5.1.1", "unknown user: \"%.*s\"", STR_ARG(m->base));
}

void member_deliver(const struct member *m)
{
	if (m->level >= LEVEL_MAX) {
		log_warning("alias database loop for %.*s", STR_ARG(m->name));
		member_never(
		    m, "5.4.6", "alias database loop for %.*s", STR_ARG(m->name));
		return;
	}
	if (is_loop(m) || (!m->no_alias && alias_deliver(m)))
		return;
	if (m->elsewhere) {
		resubmit_add(m);
		return;
	}
	if (user_deliver(m))
		return;
	if (!pass_deliver(m, local.mailbox_transports, "mailbox_transport_maps",
		local.params.mailbox_transport))
		unknown_deliver(m);
}

struct str member_direct(struct member *m, struct str address)
{
	if (!str_starts(address, STR("\\")))
		return address;
	m->no_alias = m->no_file = true;
	return str_skip(address, 1);
}

/* Local parts of this machine do not differ by case. */
bool member_name(struct member *m, struct str address)
{
	struct arena *a = m->tree->delivery->arena;
	struct buf folded = BUF_INIT(ADDRESS_MAX);
	table_fold(&folded, address_split(address).local);
	m->address = address;
	m->name = arena_str(a, buf_str(&folded));
	buf_free(&folded);
	if (m->name.p == NULL)
		return false;
	const struct address_extension_rules rules = service_extension_rules();
	struct address_extension split = address_split_extension(m->name, &rules);
	m->base = split.base;
	m->extension = split.extension.p != NULL ? split.extension : STR_EMPTY;
	return true;
}

static void deliver_recipient(struct delivery *d, size_t index)
{
	struct tree tree = {.delivery = d, .index = index};
	struct member m = {.tree = &tree, .sender = d->request.sender};
	struct str address = member_direct(&m, d->recipients[index].request->address);
	if (!member_name(&m, address)) {
		member_later(&m, "4.3.0", "out of memory for this request");
		return;
	}
	member_deliver(&m);
	resubmit_all(&tree);
	map_free(tree.seen);
}

static void deliver(struct delivery *d)
{
	size_t count = d->count; /* parts come behind */
	for (size_t i = 0; i < count; i++)
		deliver_recipient(d, i);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "local", deliver);
}

struct word {
	const char *name;
	unsigned bit;
};
static const struct word origin_words[] = {{"alias", ORIGIN_ALIAS},
    {"forward", ORIGIN_FORWARD}, {"include", ORIGIN_INCLUDE}, {NULL, 0}};
static const struct word prepend_words[] = {{"command", PREPEND_COMMAND},
    {"file", PREPEND_FILE}, {"forward", PREPEND_FORWARD}, {NULL, 0}};

/* Other words belong to other programs (propagate_unmatched_extensions). */
static unsigned bits_of(const char *list, const struct word *words)
{
	struct str rest = str_of(list), word;
	unsigned bits = 0;
	while (str_next(&rest, " \t\r\n,", &word))
		for (const struct word *w = words; w->name != NULL; w++)
			if (str_is_nocase(word, w->name))
				bits |= w->bit;
	return bits;
}

static void before_jail(void)
{
	const struct local_params *p = &local.params;
	unsigned flags = TABLE_FOLD | TABLE_TRUSTED;
	const char *fault = mailbox_limit_fault(
	    p->mailbox_size_limit, service_common()->message_size_limit);
	if (fault != NULL)
		fatal("configuration error: mailbox_size_limit %s", fault);
	delivery_before_jail(service_common());
	delivery_filter("local_delivery_status_filter", p->local_delivery_status_filter);
	local.propagate = bits_of(p->propagate_unmatched_extensions, origin_words);
	local.to_commands = bits_of(p->allow_mail_to_commands, origin_words);
	local.to_files = bits_of(p->allow_mail_to_files, origin_words);
	local.prepend = bits_of(p->prepend_delivered_header, prepend_words);
	if (!mailbox_lock_parse(str_of(p->mailbox_delivery_lock), &local.lock_styles))
		fatal("bad value of parameter mailbox_delivery_lock: %s",
		    p->mailbox_delivery_lock);
	local.aliases = maps_open("alias_maps", p->alias_maps,
	    TABLE_FOLD | TABLE_ALIASES | TABLE_NO_SUBSTITUTE);
	local.mailbox_commands =
	    maps_open("mailbox_command_maps", p->mailbox_command_maps, flags);
	local.mailbox_transports =
	    maps_open("mailbox_transport_maps", p->mailbox_transport_maps, TABLE_FOLD);
	local.fallback_transports =
	    maps_open("fallback_transport_maps", p->fallback_transport_maps, TABLE_FOLD);
}

static void started(void)
{
	const struct common_params *common = service_common();
	local.owner = owner_of(common);
	delivery_open(common, local.owner.uid);
	local.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name), 2);
	local.rewrite = rewrite_client_new(
	    service_client_new(common, SERVICE_PRIVATE, common->rewrite_service_name));
}

static bool stale(void)
{
	return maps_changed(local.aliases) || maps_changed(local.mailbox_commands) ||
	    maps_changed(local.mailbox_transports) ||
	    maps_changed(local.fallback_transports) || delivery_filter_changed();
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
