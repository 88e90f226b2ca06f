#include "table/own_networks.h"

#include <netdb.h>
#include "base/memory.h"
#include "conf/computed.h"
#include "net/address.h"

#define INTERFACES_MAX 1000
#define TEXT_MAX       100000

struct own {
	struct net_prefix interfaces[INTERFACES_MAX];
	size_t count;
	bool ipv4, ipv6;
	struct buf text; /* "address/bits" words */
};

static bool parse_protocols(struct str list, struct own *own, struct buf *error)
{
	struct str rest = list;
	struct str word;
	while (str_next(&rest, ", \t\r\n", &word)) {
		bool all = str_is(word, "all");
		if (!all && !str_is(word, "ipv4") && !str_is(word, "ipv6")) {
			buf_printf(error,
			    "unknown inet_protocols value \"%.*s\" in \"%.*s\"",
			    STR_ARG(word), STR_ARG(list));
			return false;
		}
		own->ipv4 = own->ipv4 || all || str_is(word, "ipv4");
		own->ipv6 = own->ipv6 || all || str_is(word, "ipv6");
	}
	return true;
}

static void add(struct own *own, const struct net_address *address, unsigned bits)
{
	bool is_ipv4 = net_address_family(address) == AF_INET;
	if (!(is_ipv4 ? own->ipv4 : own->ipv6))
		return;
	net_address_add_text(&own->text, address);
	buf_printf(&own->text, "/%u ", bits);
}

/* An address listed by hand: with the size of its interface's network, if it has one. */
static void add_listed(struct own *own, const struct net_address *address)
{
	for (size_t i = 0; i < own->count; i++)
		if (net_address_equal_host(&own->interfaces[i].address, address)) {
			add(own, address, own->interfaces[i].bits);
			return;
		}
	add(own, address, net_address_family(address) == AF_INET ? 32 : 128);
}

static void add_name(struct own *own, struct str name)
{
	char host[256];
	struct addrinfo *found = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	if (!str_to_cstr(name, host, sizeof(host)) ||
	    getaddrinfo(host, NULL, &hints, &found) != 0)
		return;
	for (const struct addrinfo *i = found; i != NULL; i = i->ai_next) {
		struct net_address address;
		if (net_address_from(i->ai_addr, i->ai_addrlen, &address))
			add_listed(own, &address);
	}
	freeaddrinfo(found);
}

static void add_word(struct own *own, struct str word)
{
	struct net_address address;
	struct str text = word;
	bool all = str_is(word, "all");
	if (all || str_is(word, "loopback-only")) {
		for (size_t i = 0; i < own->count; i++)
			if (all || net_address_is_loopback(&own->interfaces[i].address))
				add(own, &own->interfaces[i].address,
				    own->interfaces[i].bits);
		return;
	}
	if (text.len > 1 && text.p[0] == '[' && text.p[text.len - 1] == ']')
		text = str_slice(text, 1, text.len - 1);
	if (net_address_parse(text, 0, &address))
		add_listed(own, &address);
	else
		add_name(own, word);
}

static bool compute(struct conf *c, struct own *own, struct buf *error)
{
	CLEANUP(buf_free) struct buf protocols = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf list = BUF_INIT(TEXT_MAX);
	CLEANUP(buf_free) struct buf style = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf networks = BUF_INIT(TEXT_MAX);
	struct str word;
	if (!conf_get(c, STR("inet_protocols"), &protocols) ||
	    !conf_get(c, STR("inet_interfaces"), &list) ||
	    !conf_get(c, STR("mynetworks_style"), &style)) {
		buf_add_cstr(error, "macro processing error");
		return false;
	}
	if (!parse_protocols(buf_str(&protocols), own, error))
		return false;
	struct str rest = buf_str(&list);
	while (str_next(&rest, ", \t\r\n", &word))
		add_word(own, word);
	if (!computed_mynetworks(buf_cstr(&style), buf_str(&own->text), &networks, error))
		return false;
	conf_computed(c, "mynetworks", buf_str(&networks));
	return true;
}

bool own_networks_compute(struct conf *c, struct buf *error)
{
	struct own *own = memory_alloc(sizeof(*own));
	int count = net_own_addresses(own->interfaces, INTERFACES_MAX);
	own->count = count < 0 ? 0 : (size_t)count;
	own->text = BUF_INIT(TEXT_MAX);
	bool ok = compute(c, own, error);
	buf_free(&own->text);
	free(own);
	return ok;
}
