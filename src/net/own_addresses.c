#include "net/address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

static unsigned count_ones(const unsigned char *bytes, size_t len)
{
	unsigned ones = 0;

	for (size_t i = 0; i < len; i++)
		ones += (unsigned)__builtin_popcount(bytes[i]);
	return ones;
}

static unsigned mask_bits(const struct sockaddr *mask, int family)
{
	if (mask == NULL)
		return family == AF_INET ? 32 : 128;
	if (family == AF_INET)
		return count_ones(
		    (const void *)&((const struct sockaddr_in *)(const void *)mask)
			->sin_addr,
		    4);
	return count_ones(
	    (const void *)&((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr,
	    16);
}

static bool take(const struct ifaddrs *interface, struct net_prefix *r)
{
	int family =
	    interface->ifa_addr == NULL ? AF_UNSPEC : interface->ifa_addr->sa_family;
	socklen_t len;

	if (family == AF_INET)
		len = sizeof(struct sockaddr_in);
	else if (family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	else
		return false;
	r->bits = mask_bits(interface->ifa_netmask, family);
	return net_address_from(interface->ifa_addr, len, &r->address);
}

int net_own_addresses(struct net_prefix *out, size_t max)
{
	struct ifaddrs *all;
	size_t count = 0;

	if (getifaddrs(&all) != 0)
		return -errno;
	for (const struct ifaddrs *i = all; i != NULL && count < max; i = i->ifa_next)
		if (take(i, &out[count]))
			count++;
	freeifaddrs(all);
	return (int)count;
}

struct address_list {
	struct net_address *out;
	size_t count, max;
};

static void add_address(struct address_list *l, const struct net_address *a)
{
	if (l->count < l->max)
		l->out[l->count++] = *a;
}

static void add_all(struct address_list *l)
{
	struct net_prefix *own = calloc(l->max, sizeof(*own));
	int count = own != NULL ? net_own_addresses(own, l->max) : 0;

	for (int i = 0; i < count; i++)
		add_address(l, &own[i].address);
	free(own);
}

static void add_name(struct address_list *l, struct str word)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	struct net_address a;
	char name[256];

	if (!str_to_cstr(word, name, sizeof(name)) ||
	    getaddrinfo(name, NULL, &hints, &found) != 0)
		return;
	for (const struct addrinfo *i = found; i != NULL; i = i->ai_next)
		if (net_address_from(i->ai_addr, i->ai_addrlen, &a))
			add_address(l, &a);
	freeaddrinfo(found);
}

static void add_word(struct address_list *l, struct str word)
{
	struct net_address a;

	if (str_is_nocase(word, "all")) {
		add_all(l);
		return;
	}
	if (str_is_nocase(word, "loopback-only")) {
		if (net_address_parse(STR("127.0.0.1"), 0, &a))
			add_address(l, &a);
		if (net_address_parse(STR("::1"), 0, &a))
			add_address(l, &a);
		return;
	}
	if (str_starts(word, STR("[")) && str_ends(word, STR("]")))
		word = str_slice(word, 1, word.len - 1);
	if (net_address_parse(word, 0, &a))
		add_address(l, &a);
	else
		add_name(l, word);
}

size_t net_listed_addresses(struct str list, struct net_address *out, size_t max)
{
	struct address_list l = {.out = out, .max = max};
	struct str word;

	while (str_next(&list, " \t\r\n,", &word))
		add_word(&l, word);
	return l.count;
}
