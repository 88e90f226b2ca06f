/*
 * smtpd: the SMTP server (RFC 5321). One fiber a client.
 *
 * Reads from strangers: everything a client sends. Runs as mail_owner, may be jailed:
 * tables and c-ares are opened before. If it died here, its sessions would break off; no
 * accepted mail would be lost, because 250 is said only after cleanup committed.
 */
#include "smtpd/smtpd.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "dns/lookup.h"
#include "smtp_wire/capability.h"

#define QUEUE_ID_STOCK    16
#define OWN_ADDRESSES_MAX 1024

struct smtpd_state smtpd;

static enum bare_newline bare_newline_mode(const char *value)
{
	struct str word = str_trim(str_of(value));
	if (str_is_nocase(word, "normalize") || str_is_nocase(word, "yes"))
		return BARE_NEWLINE_NORMALIZE;
	if (str_is_nocase(word, "reject"))
		return BARE_NEWLINE_REJECT;
	if (!str_is_nocase(word, "no"))
		fatal("bad value of smtpd_forbid_bare_newline: %s", value);
	return BARE_NEWLINE_ALLOW;
}

static void open_restrictions(void)
{
	const struct smtpd_params *p = &smtpd.params;
	const struct {
		enum restriction_stage stage;
		const char *title, *text;
	} lists[] = {
	    {STAGE_CLIENT, "smtpd_client_restrictions", p->smtpd_client_restrictions},
	    {STAGE_HELO, "smtpd_helo_restrictions", p->smtpd_helo_restrictions},
	    {STAGE_SENDER, "smtpd_sender_restrictions", p->smtpd_sender_restrictions},
	    {STAGE_RELAY, "smtpd_relay_restrictions", p->smtpd_relay_restrictions},
	    {STAGE_RECIPIENT, "smtpd_recipient_restrictions",
		p->smtpd_recipient_restrictions},
	    {STAGE_DATA, "smtpd_data_restrictions", p->smtpd_data_restrictions},
	    {STAGE_END_OF_DATA, "smtpd_end_of_data_restrictions",
		p->smtpd_end_of_data_restrictions},
	    {STAGE_ETRN, "smtpd_etrn_restrictions", p->smtpd_etrn_restrictions},
	};
	restriction_compile_classes();
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		smtpd.restrictions[lists[i].stage] =
		    restriction_compile(lists[i].title, lists[i].text);
	smtpd.unlisted_sender =
	    restriction_compile("smtpd_reject_unlisted_sender", "reject_unlisted_sender");
	smtpd.unlisted_recipient = restriction_compile(
	    "smtpd_reject_unlisted_recipient", "reject_unlisted_recipient");
	restriction_require_relay_control();
	restriction_check_verify_actions();
}

static void open_own_addresses(void)
{
	smtpd.own_addresses =
	    memory_alloc_array(OWN_ADDRESSES_MAX, sizeof(*smtpd.own_addresses));
	int count = net_own_addresses(smtpd.own_addresses, OWN_ADDRESSES_MAX);
	if (count < 0)
		log_warning(
		    "cannot list the addresses of this machine: %s", strerror(-count));
	else
		smtpd.own_address_count = (size_t)count;
}

/* Clients that may do more than others: most often nobody. */
static struct match_list *open_clients(const char *title, const char *value)
{
	return value[0] == '\0' ? NULL : match_list_open(title, value, MATCH_HOSTS, 0);
}

/* What says who may send to whom. */
static void open_access(void)
{
	const struct smtpd_params *p = &smtpd.params;
	const struct common_params *common = service_common();
	smtpd.mynetworks =
	    match_list_open("mynetworks", common->mynetworks, MATCH_HOSTS, 0);
	smtpd.header_rewriting = header_rewriting_open();
	smtpd.bare_newline_exclusions =
	    match_list_open("smtpd_forbid_bare_newline_exclusions",
		p->smtpd_forbid_bare_newline_exclusions, MATCH_HOSTS, 0);
	smtpd.verp_clients = open_clients(
	    "smtpd_authorized_verp_clients", p->smtpd_authorized_verp_clients);
	smtpd.xclient_hosts = open_clients(
	    "smtpd_authorized_xclient_hosts", p->smtpd_authorized_xclient_hosts);
	smtpd.xforward_hosts = open_clients(
	    "smtpd_authorized_xforward_hosts", p->smtpd_authorized_xforward_hosts);
	smtpd.local_recipients =
	    maps_open("local_recipient_maps", p->local_recipient_maps, TABLE_FOLD);
	smtpd.relay_recipients =
	    maps_open("relay_recipient_maps", p->relay_recipient_maps, TABLE_FOLD);
	smtpd.virtual_aliases =
	    maps_open("virtual_alias_maps", p->virtual_alias_maps, TABLE_FOLD);
	smtpd.virtual_mailboxes =
	    maps_open("virtual_mailbox_maps", p->virtual_mailbox_maps, TABLE_FOLD);
	smtpd.canonicals = maps_open("canonical_maps", p->canonical_maps, TABLE_FOLD);
	smtpd.recipient_canonicals = maps_open(
	    "recipient_canonical_maps", p->recipient_canonical_maps, TABLE_FOLD);
	open_restrictions();
	open_own_addresses();
	if (dns_open(p->dns_servers[0] != '\0' ? p->dns_servers : NULL) != 0)
		log_warning("cannot read the resolver's configuration");
}

static void before_jail(void)
{
	const struct smtpd_params *p = &smtpd.params;
	const struct common_params *common = service_common();
	bool silent;
	smtpd.forbidden_commands = match_list_open(
	    "smtpd_forbidden_commands", p->smtpd_forbidden_commands, MATCH_STRINGS, 0);
	command_find_forbidden();
	smtpd.receive_flags = cleanup_receive_flags(p->receive_override_options) |
	    cleanup_detect_utf8(common->smtputf8_autodetect_classes, "smtpd");
	if (!service_stands_alone())
		smtpd.notify = transcript_classes(p->notify_classes);
	smtpd.takes_unknown_recipients = str_list_has(
	    str_of(p->receive_override_options), "no_unknown_recipient_checks");
	smtpd.ipv6 = str_list_has(str_of(common->inet_protocols), "all") ||
	    str_list_has(str_of(common->inet_protocols), "ipv6");
	smtpd.bare_newline = bare_newline_mode(p->smtpd_forbid_bare_newline);
	smtpd.discard_keywords =
	    capability_list(str_of(p->smtpd_discard_ehlo_keywords), &silent);
	address_log_format(str_is(str_of(common->info_log_address_format), "external"));
	/* Standing alone it has its caller's rights, who may send to anybody. */
	if (!service_stands_alone())
		open_access();
}

static void started(void)
{
	const struct common_params *common = service_common();
	if (service_stands_alone())
		return;
	smtpd.cleanup = cleanup_client_new(
	    service_client_new(common, SERVICE_PUBLIC, common->cleanup_service_name),
	    QUEUE_ID_STOCK);
	smtpd.flush =
	    service_client_new(common, SERVICE_PUBLIC, common->flush_service_name);
	smtpd.verify = service_client_new(
	    common, SERVICE_PRIVATE, common->address_verify_service_name);
	smtpd.rewrite = rewrite_client_new(
	    service_client_new(common, SERVICE_PRIVATE, common->rewrite_service_name));
}

static bool match_lists_changed(void)
{
	struct match_list *const lists[] = {smtpd.mynetworks, smtpd.forbidden_commands,
	    smtpd.bare_newline_exclusions, smtpd.verp_clients, smtpd.xclient_hosts,
	    smtpd.xforward_hosts};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i] != NULL && match_list_changed(lists[i]))
			return true;
	return false;
}

static bool recipient_tables_changed(void)
{
	return maps_changed(smtpd.local_recipients) ||
	    maps_changed(smtpd.relay_recipients) || maps_changed(smtpd.virtual_aliases) ||
	    maps_changed(smtpd.virtual_mailboxes) || maps_changed(smtpd.canonicals) ||
	    maps_changed(smtpd.recipient_canonicals);
}

/* Every table that was opened is asked: who was shut out stays out only then. */
static bool stale(void)
{
	if (service_stands_alone())
		return false;
	return recipient_tables_changed() || match_lists_changed() ||
	    restriction_changed() || header_rewriting_changed(smtpd.header_rewriting);
}

static const struct service smtpd_service = {
    .name = "smtpd",
    .params = smtpd_param_table,
    .values = &smtpd.params,
    .sandbox = SANDBOX_NET,
    .before_jail = before_jail,
    .started = started,
    .serve = session_serve, /* one client, straight-line code in its own fiber */
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&smtpd_service, argc, argv);
}
