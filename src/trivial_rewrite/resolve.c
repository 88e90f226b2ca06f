/* Where an address goes: local forms are peeled off, then the five address classes, then
 * tables. */
#include "base/log.h"
#include "trivial_rewrite/trivial_rewrite.h"

#define PEEL_MAX 100

static bool is_in_class(
    struct question *q, const struct domain_class *class, struct str domain)
{
	if (class->empty)
		return false;
	enum table_result result = match_list_string(class->list, domain);
	if (result == TABLE_TRY_LATER || result == TABLE_BROKEN) {
		log_warning("%s lookup failure", class->title);
		q->trouble = true;
	}
	return result == TABLE_FOUND;
}

static bool is_own_literal(struct str domain)
{
	struct net_address literal;
	if (!address_literal_parse(domain, &literal))
		return false;
	for (size_t i = 0; i < rewriter.own_count; i++)
		if (net_address_equal_host(&rewriter.own[i], &literal))
			return true;
	return false;
}

bool resolve_is_local(struct question *q, struct str domain)
{
	return is_in_class(q, &rewriter.classes[CLASS_LOCAL], domain) ||
	    is_own_literal(domain);
}

/* A name without domain belongs to the domain that was peeled off last, or to this host;
 * "user@" too with resolve_null_domain. */
static struct str with_domain(struct arena *a, struct str address, struct str own)
{
	struct address_parts parts = address_split(address);
	if (parts.domain.len > 0 ||
	    (parts.domain.p != NULL && !rewriter.params.resolve_null_domain))
		return address;
	return str_of(arena_printf(a, "%.*s@%.*s", STR_ARG(parts.local), STR_ARG(own)));
}

/* "user@1.2.3.4" with resolve_numeric_domain is "user@[1.2.3.4]". */
static struct str with_literal(struct arena *a, struct str address)
{
	struct address_parts parts = address_split(address);
	struct net_address numeric;
	if (!rewriter.params.resolve_numeric_domain ||
	    !net_address_parse(parts.domain, 0, &numeric))
		return address;
	return str_of(
	    arena_printf(a, "%.*s@[%.*s]", STR_ARG(parts.local), STR_ARG(parts.domain)));
}

/* With resolve_dequoted_address even quotes do not keep a local part from being a route.
 */
static bool is_route(struct str local)
{
	return rewrite_has_route(local) &&
	    (rewriter.params.resolve_dequoted_address || address_local_is_plain(local));
}

/* "user%elsewhere@here" is mail for user@elsewhere: our own domain is peeled off as long
 * as something is left that names another. NULL p: the arena is full. */
static struct str peel(struct question *q, struct str address)
{
	struct str own = str_of(service_common()->myhostname);
	for (unsigned i = 0; i < PEEL_MAX; i++) {
		address = with_domain(q->arena, address, own);
		if (address.p != NULL)
			address = with_literal(q->arena, address);
		struct address_parts parts = address_split(address);
		if (parts.domain.len == 0 || !resolve_is_local(q, parts.domain))
			break;
		own = parts.domain;
		if (parts.local.len == 0)
			return str_of(arena_printf(q->arena, "%s@%.*s",
			    rewriter.params.empty_address_recipient, STR_ARG(own)));
		if (!is_route(parts.local))
			break;
		address = rewrite_route(q->arena, parts.local);
	}
	return address;
}

/* Whether the domain part can be one at all. What has no room for a domain that we would
 * add is no address either. */
static bool is_valid(struct str address)
{
	struct str domain = address_split(address).domain;
	struct net_address literal;
	if (address.len > ADDRESS_MAX)
		return false;
	if (!rewriter.params.allow_min_user && str_starts(address, STR("-")))
		return false;
	if (domain.len > 0 && domain.p[0] == '[')
		return address_literal_parse(domain, &literal);
	return address_domain_valid(domain, true, NULL);
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
static void set_class(struct question *q, struct resolved *r, uint32_t class,
    struct str transport, struct str nexthop)
{
	r->flags |= class;
	r->nexthop = nexthop;
	transport_split(q->arena, transport, &r->transport, &r->nexthop);
}

/* Where mail for other systems goes when nothing else says so: what the sender's tables
 * give, else relayhost, else the recipient's domain. */
static struct str relay_of(struct question *q, struct str domain)
{
	struct str relay = sender_lookup(q, q->routing->sender_relayhosts,
	    rewriter.params.empty_address_relayhost_maps_lookup_key);
	if (relay.len == 0)
		relay = str_of(q->routing->relayhost);
	return relay.len > 0 ? relay : domain;
}

static struct str default_transport_of(struct question *q)
{
	struct str transport = sender_lookup(q, q->routing->sender_transports,
	    rewriter.params.empty_address_default_transport_maps_lookup_key);
	return transport.len > 0 ? transport : str_of(q->routing->default_transport);
}

static void set_local(struct question *q, struct resolved *r, struct str domain)
{
	set_class(q, r, RESOLVE_CLASS_LOCAL, str_of(q->routing->local_transport), domain);
}

/* What is left after alias expansion is nobody. */
static void set_virtual_alias(
    UNUSED struct question *q, struct resolved *r, UNUSED struct str domain)
{
	r->flags |= RESOLVE_CLASS_VIRTUAL_ALIAS;
	r->transport = STR("error");
	r->nexthop = rewriter.params.show_user_unknown_table_name
	    ? STR("5.1.1 User unknown in virtual alias table")
	    : STR("5.1.1 User unknown");
}

static void set_virtual_mailbox(struct question *q, struct resolved *r, struct str domain)
{
	set_class(q, r, RESOLVE_CLASS_VIRTUAL_MAILBOX,
	    str_of(q->routing->virtual_transport), domain);
}

static void set_relay(struct question *q, struct resolved *r, struct str domain)
{
	set_class(q, r, RESOLVE_CLASS_RELAY, str_of(q->routing->relay_transport),
	    relay_of(q, domain));
}

static void set_default(struct question *q, struct resolved *r, struct str domain)
{
	set_class(
	    q, r, RESOLVE_CLASS_DEFAULT, default_transport_of(q), relay_of(q, domain));
}

/* What is in no class is the default; the last row. */
static const struct class_row {
	void (*set)(struct question *q, struct resolved *r, struct str domain);
	unsigned clashes; /* classes in which its domains must not be too */
} class_rows[CLASS_COUNT + 1] = {
    [CLASS_LOCAL] = {set_local, 1u << CLASS_VIRTUAL_ALIAS | 1u << CLASS_VIRTUAL_MAILBOX},
    [CLASS_VIRTUAL_ALIAS] = {set_virtual_alias,
	1u << CLASS_VIRTUAL_MAILBOX | 1u << CLASS_RELAY},
    [CLASS_VIRTUAL_MAILBOX] = {set_virtual_mailbox, 1u << CLASS_RELAY},
    [CLASS_RELAY] = {set_relay, 0},
    [CLASS_COUNT] = {set_default, 0},
};

/* A class that cannot be asked here does not change where the mail goes. */
static void warn_of_clashes(size_t found, struct str domain)
{
	struct question aside = {.trouble = false};
	for (size_t i = found + 1; i < CLASS_COUNT; i++)
		if (class_rows[found].clashes & 1u << i &&
		    is_in_class(&aside, &rewriter.classes[i], domain))
			log_warning("do not list domain %.*s in BOTH %s and %s",
			    STR_ARG(domain), rewriter.classes[found].title,
			    rewriter.classes[i].title);
}

static void classify(struct question *q, struct resolved *r)
{
	struct address_parts parts = address_split(r->recipient);
	struct str folded = lower_case(q->arena, parts.domain);
	size_t found = CLASS_LOCAL;
	if (!resolve_is_local(q, parts.domain))
		for (found++; found < CLASS_COUNT; found++)
			if (is_in_class(q, &rewriter.classes[found], parts.domain))
				break;
	class_rows[found].set(q, r, folded);
	warn_of_clashes(found, parts.domain);
	/* A route that ends elsewhere than where we deliver ourselves. */
	if (found != CLASS_LOCAL && rewrite_has_route(parts.local))
		r->flags |= RESOLVE_ROUTED;
}

/* Mail for an address class without own recipients stays with its error text. */
static void apply_tables(struct question *q, struct resolved *r)
{
	if (!q->trouble && !relocated_apply(q, r) && !q->trouble &&
	    !(r->flags & RESOLVE_CLASS_VIRTUAL_ALIAS))
		transport_apply(q, r);
}

struct resolved resolve_address(struct question *q, struct str address)
{
	struct resolved r = {.flags = 0, .transport = STR_EMPTY, .nexthop = STR_EMPTY};
	bool empty = address.len == 0;
	if (empty)
		address = str_of(rewriter.params.empty_address_recipient);
	if (q->complete || empty)
		address = rewrite_address_text(q->arena, REWRITE_LOCAL, address);
	if (address.p != NULL)
		address = peel(q, address);
	if (address.p == NULL || !is_valid(address)) {
		r.flags = RESOLVE_ERROR;
		return r;
	}
	r.recipient = address;
	classify(q, &r);
	apply_tables(q, &r);
	if (q->trouble)
		r.flags |= RESOLVE_TRY_LATER;
	return r;
}
