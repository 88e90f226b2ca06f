#include "net/address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>

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
