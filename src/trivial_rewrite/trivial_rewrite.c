/*
 * trivial-rewrite: completes addresses, and decides for each where it goes: class,
 * transport, next hop.
 *
 * Reads from strangers: addresses, handed on by other services. Runs as mail_owner, may
 * be jailed; tables are opened before. If it died here, the same question would be asked
 * again.
 */
#include "trivial_rewrite/trivial_rewrite.h"

#include <string.h>

#include "base/memory.h"

#define OWN_MAX 1024

struct rewriter rewriter;

static bool serve_rewrite(struct service_call *call)
{
	struct rewrite_request request;
	if (!rewrite_request_read(call->payload, call->arena, &request))
		return false;
	for (uint32_t i = 0; i < request.addresses_count; i++) {
		struct rewrite_address *r = &request.addresses[i];
		r->address = rewrite_address_text(
		    call->arena, (enum rewrite_context)request.context, r->address);
		if (r->address.p == NULL)
			return false;
	}
	rewrite_reply_write(call->reply,
	    &(struct rewrite_reply){.addresses = request.addresses,
		.addresses_count = request.addresses_count});
	return true;
}

static bool serve_resolve(struct service_call *call)
{
	struct resolve_request request;
	if (!resolve_request_read(call->payload, call->arena, &request))
		return false;
	struct resolve_reply reply = {
	    .results = arena_alloc_array(
		call->arena, request.addresses_count, sizeof(*reply.results)),
	    .results_count = request.addresses_count,
	};
	if (reply.results == NULL)
		return false;
	for (uint32_t i = 0; i < request.addresses_count; i++) {
		struct question q = {
		    .arena = call->arena,
		    .routing =
			request.how & RESOLVE_PROBE ? &rewriter.probes : &rewriter.mail,
		    .complete = (request.how & RESOLVE_COMPLETE) != 0,
		    .sender = request.sender,
		};
		reply.results[i] = resolve_address(&q, request.addresses[i].address);
	}
	resolve_reply_write(call->reply, &reply);
	return true;
}

static const struct service_request requests[] = {
    {rewrite_request_type, rewrite_reply_type, serve_rewrite},
    {resolve_request_type, resolve_reply_type, serve_resolve},
    {0},
};

/* Only relay_domains includes subdomains; the other lists name each domain. */
static void open_class(enum domain_class_index i, const char *title, const char *text)
{
	const char *parents = service_common()->parent_domain_matches_subdomains;
	rewriter.classes[i] = (struct domain_class){
	    .title = title,
	    .list = i == CLASS_RELAY ? match_list_open_domains(title, text, parents)
				     : match_list_open(title, text, MATCH_STRINGS, 0),
	    .empty = str_trim(str_of(text)).len == 0,
	};
}

/* A table may choose among destinations; it must not make them of what strangers say. */
#define ROUTING_TABLE (TABLE_FOLD | TABLE_NO_SUBSTITUTE)

static void open_routings(void)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	rewriter.mail = (struct routing){
	    .local_transport = p->local_transport,
	    .virtual_transport = p->virtual_transport,
	    .relay_transport = p->relay_transport,
	    .default_transport = p->default_transport,
	    .relayhost = p->relayhost,
	    .transports = maps_open("transport_maps", p->transport_maps, ROUTING_TABLE),
	    .sender_relayhosts = maps_open("sender_dependent_relayhost_maps",
		p->sender_dependent_relayhost_maps, ROUTING_TABLE),
	    .sender_transports = maps_open("sender_dependent_default_transport_maps",
		p->sender_dependent_default_transport_maps, ROUTING_TABLE),
	};
}

static struct maps *open_or_share(
    const char *title, const char *text, const char *mail_text, struct maps *mail)
{
	return strcmp(text, mail_text) == 0 ? mail
					    : maps_open(title, text, ROUTING_TABLE);
}

static void open_probes(void)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	rewriter.probes = (struct routing){
	    .local_transport = p->address_verify_local_transport,
	    .virtual_transport = p->address_verify_virtual_transport,
	    .relay_transport = p->address_verify_relay_transport,
	    .default_transport = p->address_verify_default_transport,
	    .relayhost = p->address_verify_relayhost,
	    .transports = open_or_share("address_verify_transport_maps",
		p->address_verify_transport_maps, p->transport_maps,
		rewriter.mail.transports),
	    .sender_relayhosts =
		open_or_share("address_verify_sender_dependent_relayhost_maps",
		    p->address_verify_sender_dependent_relayhost_maps,
		    p->sender_dependent_relayhost_maps, rewriter.mail.sender_relayhosts),
	    .sender_transports =
		open_or_share("address_verify_sender_dependent_default_transport_maps",
		    p->address_verify_sender_dependent_default_transport_maps,
		    p->sender_dependent_default_transport_maps,
		    rewriter.mail.sender_transports),
	};
}

static bool is_spoken(const struct net_address *a)
{
	struct str protocols = str_of(service_common()->inet_protocols);
	return str_list_has(protocols, "all") ||
	    str_list_has(protocols, net_address_family(a) == AF_INET6 ? "ipv6" : "ipv4");
}

/* The addresses of a list, of the protocols that we speak. */
static void add_own(const char *list)
{
	struct net_address *listed = memory_alloc_array(OWN_MAX, sizeof(*listed));
	size_t count = net_listed_addresses(str_of(list), listed, OWN_MAX);
	for (size_t i = 0; i < count && rewriter.own_count < OWN_MAX; i++)
		if (is_spoken(&listed[i]))
			rewriter.own[rewriter.own_count++] = listed[i];
	free(listed);
}

static void before_jail(void)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	const struct common_params *common = service_common();
	open_class(CLASS_LOCAL, "mydestination", common->mydestination);
	open_class(
	    CLASS_VIRTUAL_ALIAS, "virtual_alias_domains", p->virtual_alias_domains);
	open_class(
	    CLASS_VIRTUAL_MAILBOX, "virtual_mailbox_domains", p->virtual_mailbox_domains);
	open_class(CLASS_RELAY, "relay_domains", common->relay_domains);
	rewriter.transport_parents = str_list_has(
	    str_of(common->parent_domain_matches_subdomains), "transport_maps");
	open_routings();
	open_probes();
	rewriter.relocated = maps_open("relocated_maps", p->relocated_maps, TABLE_FOLD);
	rewriter.own = memory_alloc_array(OWN_MAX, sizeof(*rewriter.own));
	add_own(common->inet_interfaces);
	add_own(common->proxy_interfaces);
}

static bool routing_changed(const struct routing *r)
{
	return maps_changed(r->transports) || maps_changed(r->sender_relayhosts) ||
	    maps_changed(r->sender_transports);
}

static bool stale(void)
{
	for (size_t i = 0; i < CLASS_COUNT; i++)
		if (match_list_changed(rewriter.classes[i].list))
			return true;
	return routing_changed(&rewriter.mail) || routing_changed(&rewriter.probes) ||
	    maps_changed(rewriter.relocated);
}

static const struct service rewrite_service = {
    .name = "trivial-rewrite",
    .params = trivial_rewrite_param_table,
    .values = &rewriter.params,
    .sandbox = SANDBOX_TABLE,
    .before_jail = before_jail,
    .requests = requests,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&rewrite_service, argc, argv);
}
