/* Where an address goes: local forms are peeled off, then the five address classes, then
 * tables. */
#include "base/log.h"
#include "trivial_rewrite/trivial_rewrite.h"

#define PEEL_MAX 100

static bool matches(struct match_list *list, struct str domain, bool *trouble)
{
	enum table_result result = match_list_string(list, domain);
	*trouble = *trouble || result == TABLE_TRY_LATER || result == TABLE_BROKEN;
	return result == TABLE_FOUND;
}

static bool is_own_literal(struct str domain)
{
	struct net_address literal;
	if (!address_literal_parse(domain, &literal))
		return false;
	for (size_t i = 0; i < rewriter.own_count; i++)
		if (net_address_equal_host(&rewriter.own[i].address, &literal))
			return true;
	return false;
}

static bool is_local(struct str domain, bool *trouble)
{
	return matches(rewriter.local_domains, domain, trouble) || is_own_literal(domain);
}

static bool has_route(struct str local)
{
	if (str_find(local, '@') >= 0)
		return true;
	return (rewriter.params.allow_percent_hack && str_find(local, '%') > 0) ||
	    (rewriter.params.swap_bangpath && str_find(local, '!') > 0);
}

/* "user%elsewhere@here" is mail for user@elsewhere: our own domain is peeled off as long
 * as something is left that names another. */
static struct str peel(struct arena *a, struct str address, bool *trouble)
{
	for (unsigned i = 0; i < PEEL_MAX; i++) {
		struct address_parts parts = address_split(address);
		if (parts.domain.p == NULL || !has_route(parts.local) ||
		    !is_local(parts.domain, trouble))
			break;
		struct str inner = rewrite_address_text(a, REWRITE_LOCAL, parts.local);
		if (inner.p == NULL)
			break;
		address = inner;
	}
	return address;
}

/* Whether the domain part can be one at all. */
static bool has_valid_domain(struct str domain)
{
	struct net_address literal;
	if (domain.len > 0 && domain.p[0] == '[')
		return address_literal_parse(domain, &literal);
	if (rewriter.params.resolve_numeric_domain &&
	    net_address_parse(domain, 0, &literal))
		return true;
	return address_domain_valid(domain, true, NULL);
}

static bool is_valid(struct str address)
{
	struct address_parts parts = address_split(address);
	if (!rewriter.params.allow_min_user && str_starts(address, STR("-")))
		return false;
	return parts.domain.p == NULL || has_valid_domain(parts.domain);
}

static struct str lower_case(struct arena *a, struct str domain)
{
	struct str copy = arena_str(a, domain);
	char *p = copy.p != NULL ? arena_alloc(a, copy.len + 1) : NULL;
	for (size_t i = 0; p != NULL && i < copy.len; i++)
		p[i] = ascii_lower(copy.p[i]);
	return p != NULL ? (struct str){p, copy.len} : copy;
}

/* A class: its transport parameter ("local:$myhostname"), and the next hop when that
 * names none. */
static void set_class(struct arena *a, struct resolved *r, uint32_t class,
    struct str transport, struct str nexthop)
{
	r->flags |= class;
	r->nexthop = nexthop;
	transport_split(a, transport, &r->transport, &r->nexthop);
}

/* Where mail for other systems goes when nothing else says so: what the sender's tables
 * give, else relayhost, else the recipient's domain. */
static struct str relay_of(
    struct arena *a, struct str sender, struct str domain, bool *trouble)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	struct str relay = sender_lookup(a, rewriter.sender_relayhosts,
	    p->empty_address_relayhost_maps_lookup_key, sender, trouble);
	if (relay.len == 0)
		relay = str_of(p->relayhost);
	return relay.len > 0 ? relay : domain;
}

static struct str default_transport_of(struct arena *a, struct str sender, bool *trouble)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	struct str transport = sender_lookup(a, rewriter.sender_transports,
	    p->empty_address_default_transport_maps_lookup_key, sender, trouble);
	return transport.len > 0 ? transport : str_of(p->default_transport);
}

static void classify(struct arena *a, struct resolved *r, struct str sender,
    struct str domain, bool *trouble)
{
	const struct trivial_rewrite_params *p = &rewriter.params;
	struct str folded = lower_case(a, domain);
	if (is_local(domain, trouble)) {
		set_class(a, r, RESOLVE_CLASS_LOCAL, str_of(p->local_transport), folded);
	} else if (matches(rewriter.virtual_alias_domains, domain, trouble)) {
		/* What is left after alias expansion is nobody. */
		set_class(a, r, RESOLVE_CLASS_VIRTUAL_ALIAS, STR("error"), STR_EMPTY);
		r->nexthop = p->show_user_unknown_table_name
		    ? STR("5.1.1 User unknown in virtual alias table")
		    : STR("5.1.1 User unknown");
	} else if (matches(rewriter.virtual_mailbox_domains, domain, trouble)) {
		set_class(a, r, RESOLVE_CLASS_VIRTUAL_MAILBOX,
		    str_of(p->virtual_transport), folded);
	} else if (matches(rewriter.relay_domains, domain, trouble)) {
		set_class(a, r, RESOLVE_CLASS_RELAY, str_of(p->relay_transport),
		    relay_of(a, sender, folded, trouble));
	} else {
		set_class(a, r, RESOLVE_CLASS_DEFAULT,
		    default_transport_of(a, sender, trouble),
		    relay_of(a, sender, folded, trouble));
	}
	/* A route that ends elsewhere than where we deliver ourselves. */
	if (!(r->flags & RESOLVE_CLASS_LOCAL) &&
	    has_route(address_split(r->recipient).local))
		r->flags |= RESOLVE_ROUTED;
}

static void apply_tables(struct arena *a, struct resolved *r, bool *trouble)
{
	if (*trouble || relocated_apply(a, r->recipient, r, trouble))
		return;
	/* Mail for an address class without own recipients stays with its error text. */
	if (!*trouble && !(r->flags & RESOLVE_CLASS_VIRTUAL_ALIAS))
		(void)transport_apply(a, r->recipient, r, trouble);
}

struct resolved resolve_address(struct arena *a, struct str sender, struct str address)
{
	struct resolved r = {.flags = 0, .transport = STR_EMPTY, .nexthop = STR_EMPTY};
	bool trouble = false;
	if (address.len == 0)
		address = str_of(rewriter.params.empty_address_recipient);
	address = rewrite_address_text(a, REWRITE_LOCAL, address);
	if (address.p != NULL)
		address = peel(a, address, &trouble);
	if (address.p == NULL || !is_valid(address)) {
		r.flags = RESOLVE_ERROR;
		return r;
	}
	struct address_parts parts = address_split(address);
	r.recipient = address;
	classify(a, &r, sender,
	    parts.domain.p != NULL ? parts.domain : str_of(service_common()->myorigin),
	    &trouble);
	apply_tables(a, &r, &trouble);
	if (trouble)
		r.flags |= RESOLVE_TRY_LATER;
	return r;
}
