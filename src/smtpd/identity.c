/* Who a client is: what its connection tells, or, from clients that may say so, XCLIENT.
 */
#include "dns/client_name.h"
#include "smtpd/smtpd.h"

static bool is_own_address(const struct net_address *a)
{
	for (size_t i = 0; i < smtpd.own_address_count; i++)
		if (net_address_equal_host(&smtpd.own_addresses[i].address, a))
			return true;
	return false;
}

static bool is_listed(const struct session *s, struct match_list *l)
{
	return l != NULL && match_list_host(l, s->name, &s->peer) == TABLE_FOUND;
}

/* "host[addr]" */
static struct str client_text(const struct session *s)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SESSION_ARENA);
	buf_add_str(&text, s->name);
	buf_add_char(&text, '[');
	buf_add_str(&text, s->address);
	buf_add_char(&text, ']');
	return arena_str(s->arena, buf_str(&text));
}

/* What follows from name and address. */
static void classify(struct session *s)
{
	s->client_text = client_text(s);
	s->logged_address = s->address;
	if (net_address_family(&s->peer) == AF_INET6) /* RFC 5321 4.1.3 */
		s->logged_address =
		    str_of(arena_printf(s->arena, "IPv6:%.*s", STR_ARG(s->address)));
	if (service_stands_alone()) {
		s->trusted = s->own = s->completes = s->bare_newline_allowed = true;
		return;
	}
	s->trusted = is_listed(s, smtpd.mynetworks);
	s->own =
	    is_own_address(&s->client->peer); /* the connection, whoever it speaks for */
	s->completes = header_rewriting_wanted(smtpd.header_rewriting, s);
	s->verp_allowed = is_listed(s, smtpd.verp_clients);
	s->xclient_allowed = is_listed(s, smtpd.xclient_hosts);
	s->bare_newline_allowed = is_listed(s, smtpd.bare_newline_exclusions);
}

static struct str address_text(struct session *s, const struct net_address *a)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	if (net_address_family(a) == AF_UNIX || a->len == 0)
		return STR("127.0.0.1");
	net_address_add_text(&text, a);
	return arena_str(s->arena, buf_str(&text));
}

static struct str port_text(struct session *s, const struct net_address *a)
{
	char digits[STR_U64_MAX];
	char *end = str_put_u64(digits, net_address_port(a), 0);
	return arena_str(s->arena, (struct str){digits, (size_t)(end - digits)});
}

static struct client_name find_name(struct session *s)
{
	if (service_stands_alone())
		return (struct client_name){STR("localhost"), STR("localhost")};
	if (!smtpd.params.smtpd_peername_lookup)
		return (struct client_name){CLIENT_NAME_UNKNOWN, CLIENT_NAME_UNKNOWN};
	return client_name_find(&s->peer, s->arena);
}

void identity_find(struct session *s)
{
	const struct net_address *local = &s->client->local;
	net_address_unmap(&s->client->peer);
	s->peer = s->client->peer;
	s->address = address_text(s, &s->peer);
	const struct client_name names = find_name(s);
	s->name = names.name;
	s->reverse_name = names.reverse;
	s->port = port_text(s, &s->peer);
	s->server_address = address_text(s, local);
	s->server_port = port_text(s, local);
	classify(s);
	/* Whoever passes mail on does so whomever it speaks for. */
	s->xforward_allowed = is_listed(s, smtpd.xforward_hosts);
}

/* The name found by the address's own record is the one that leads there. */
static struct str reverse_of(
    const struct session *s, const struct client_attributes *said)
{
	struct str name = client_attribute_value(said, XCLIENT_NAME);
	struct str reverse = client_attribute_value(said, XCLIENT_REVERSE_NAME);
	if (reverse.len > 0)
		return reverse;
	return name.len > 0 && !str_is(name, "unknown") ? name : s->reverse_name;
}

static void assume_address(struct session *s, struct str address)
{
	if (address.len == 0)
		return;
	if (!net_address_parse(address, 0, &s->peer))
		s->peer = (struct net_address){.len = 0};
}

/* A fresh arena takes over all that is kept, so that no number of XCLIENT commands fills
 * it. */
void identity_assume(struct session *s, const struct client_attributes *said)
{
	const struct {
		struct str *field;
		struct str said;
	} lasting[] = {
	    {&s->name, client_attribute_value(said, XCLIENT_NAME)},
	    {&s->reverse_name, reverse_of(s, said)},
	    {&s->address, client_attribute_value(said, XCLIENT_ADDR)},
	    {&s->port, client_attribute_value(said, XCLIENT_PORT)},
	    {&s->server_address, client_attribute_value(said, XCLIENT_DESTADDR)},
	    {&s->server_port, client_attribute_value(said, XCLIENT_DESTPORT)},
	};
	struct arena *arena = arena_new(SESSION_ARENA);
	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
		*lasting[i].field = arena_str(
		    arena, lasting[i].said.len > 0 ? lasting[i].said : *lasting[i].field);
	s->helo = arena_str(arena, client_attribute_value(said, XCLIENT_HELO));
	s->login = arena_str(arena, client_attribute_value(said, XCLIENT_LOGIN));
	s->esmtp = str_is(client_attribute_value(said, XCLIENT_PROTO), "ESMTP");
	arena_free(s->arena);
	s->arena = arena;
	assume_address(s, client_attribute_value(said, XCLIENT_ADDR));
	classify(s);
}
