#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/panic.h"

/* Typed views; the caller has looked at the family. */
static struct sockaddr_in *as_ipv4(struct net_address *a)
{
	return (struct sockaddr_in *)&a->storage;
}

static struct sockaddr_in6 *as_ipv6(struct net_address *a)
{
	return (struct sockaddr_in6 *)&a->storage;
}

static const struct sockaddr_un *as_unix(const struct net_address *a)
{
	return (const struct sockaddr_un *)&a->storage;
}

bool net_address_parse(struct str text, uint16_t port, struct net_address *r)
{
	struct net_address a = {.len = sizeof(struct sockaddr_in)};
	char copy[INET6_ADDRSTRLEN];

	if (!str_to_cstr(text, copy, sizeof(copy)))
		return false;
	if (inet_pton(AF_INET, copy, &as_ipv4(&a)->sin_addr) == 1) {
		a.storage.ss_family = AF_INET;
		as_ipv4(&a)->sin_port = htons(port);
		*r = a;
		return true;
	}
	a = (struct net_address){.len = sizeof(struct sockaddr_in6)};
	if (inet_pton(AF_INET6, copy, &as_ipv6(&a)->sin6_addr) != 1)
		return false;
	a.storage.ss_family = AF_INET6;
	as_ipv6(&a)->sin6_port = htons(port);
	*r = a;
	return true;
}

int net_address_unix(const char *path, struct net_address *r)
{
	struct net_address a = {.len = sizeof(struct sockaddr_un)};
	struct sockaddr_un *un = (struct sockaddr_un *)&a.storage;

	if (!str_to_cstr(str_of(path), un->sun_path, sizeof(un->sun_path)))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	*r = a;
	return 0;
}

bool net_address_from(const struct sockaddr *sa, socklen_t len, struct net_address *r)
{
	struct net_address a = {.len = len};
	size_t least;

	if (len < sizeof(sa->sa_family) || len > sizeof(a.storage))
		return false;
	memcpy(&a.storage, sa, len);
	switch (a.storage.ss_family) {
	case AF_INET:
		least = sizeof(struct sockaddr_in);
		break;
	case AF_INET6:
		least = sizeof(struct sockaddr_in6);
		break;
	case AF_UNIX: /* one that never bound has no path */
		least = sizeof(sa->sa_family);
		break;
	default:
		return false;
	}
	if (len < least)
		return false;
	*r = a;
	return true;
}

int net_address_family(const struct net_address *a)
{
	return a->len == 0 ? AF_UNSPEC : a->storage.ss_family;
}

uint16_t net_address_port(const struct net_address *a)
{
	struct net_address copy = *a;

	switch (net_address_family(a)) {
	case AF_INET:
		return ntohs(as_ipv4(&copy)->sin_port);
	case AF_INET6:
		return ntohs(as_ipv6(&copy)->sin6_port);
	default:
		return 0;
	}
}

void net_address_set_port(struct net_address *a, uint16_t port)
{
	if (net_address_family(a) == AF_INET)
		as_ipv4(a)->sin_port = htons(port);
	else if (net_address_family(a) == AF_INET6)
		as_ipv6(a)->sin6_port = htons(port);
}

void net_address_unmap(struct net_address *a)
{
	struct net_address v4 = {.len = sizeof(struct sockaddr_in)};

	if (net_address_family(a) != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&as_ipv6(a)->sin6_addr))
		return;
	v4.storage.ss_family = AF_INET;
	as_ipv4(&v4)->sin_port = as_ipv6(a)->sin6_port;
	memcpy(&as_ipv4(&v4)->sin_addr, &as_ipv6(a)->sin6_addr.s6_addr[12], 4);
	*a = v4;
}

/* The bytes of an IP address in network order; their number, 0 for other families. */
static size_t written_bytes(const struct net_address *a, unsigned char bytes[16])
{
	struct net_address copy = *a;

	switch (net_address_family(&copy)) {
	case AF_INET:
		memcpy(bytes, &as_ipv4(&copy)->sin_addr, 4);
		return 4;
	case AF_INET6:
		memcpy(bytes, &as_ipv6(&copy)->sin6_addr, 16);
		return 16;
	default:
		return 0;
	}
}

/* The same of the host that is meant. */
static size_t host_bytes(const struct net_address *a, unsigned char bytes[16])
{
	struct net_address copy = *a;

	net_address_unmap(&copy);
	return written_bytes(&copy, bytes);
}

static void add_ipv4(struct buf *out, const unsigned char bytes[4])
{
	char text[4 * (STR_U64_MAX + 1)], *end = text;

	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			*end++ = '.';
		end = str_put_u64(end, bytes[i], 0);
	}
	buf_add(out, text, (size_t)(end - text));
}

static void add_ipv6(struct buf *out, const unsigned char bytes[16])
{
	char text[INET6_ADDRSTRLEN];

	ENSURE(inet_ntop(AF_INET6, bytes, text, sizeof(text)) != NULL);
	buf_add_cstr(out, text);
}

void net_address_add_text(struct buf *out, const struct net_address *a)
{
	unsigned char bytes[16];
	size_t len = host_bytes(a, bytes);

	if (len == 4) {
		add_ipv4(out, bytes);
	} else if (len > 0) {
		add_ipv6(out, bytes);
	} else if (net_address_family(a) == AF_UNIX) {
		size_t head = offsetof(struct sockaddr_un, sun_path);
		size_t room = a->len > head ? a->len - head : 0;
		buf_add(out, as_unix(a)->sun_path, strnlen(as_unix(a)->sun_path, room));
	}
}

bool net_address_equal_host(const struct net_address *a, const struct net_address *b)
{
	unsigned char one[16], two[16];
	size_t len = host_bytes(a, one);

	return len > 0 && host_bytes(b, two) == len && memcmp(one, two, len) == 0;
}

bool net_address_is_loopback(const struct net_address *a)
{
	static const unsigned char ipv6[16] = {[15] = 1};
	unsigned char bytes[16];

	switch (host_bytes(a, bytes)) {
	case 4:
		return bytes[0] == 127;
	case 16:
		return memcmp(bytes, ipv6, 16) == 0;
	default:
		return net_address_family(a) == AF_UNIX;
	}
}

/* True when both agree in the first `bits` bits. */
static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool has_host_bits(const struct net_prefix *p)
{
	unsigned char bytes[16] = {0}, net[16] = {0};
	size_t len = written_bytes(&p->address, bytes);

	for (unsigned i = 0; i < p->bits; i++)
		net[i / 8] |= (unsigned char)(bytes[i / 8] & (0x80 >> i % 8));
	return memcmp(net, bytes, len) != 0;
}

/* Takes "[address]" or "address" off the front; false when a bracket is not closed. */
static bool take_host(struct str *text, struct str *host_r, bool *brackets_r)
{
	ptrdiff_t end;

	*brackets_r = str_starts(*text, STR("["));
	if (*brackets_r) {
		end = str_find(*text, ']');
		if (end < 0)
			return false;
		*host_r = str_slice(*text, 1, (size_t)end);
		*text = str_skip(*text, (size_t)end + 1);
		return true;
	}
	end = str_find(*text, '/');
	*host_r = str_slice(*text, 0, end < 0 ? text->len : (size_t)end);
	*text = str_skip(*text, host_r->len);
	return true;
}

bool net_prefix_parse(
    struct str text, bool bare_ipv6, struct net_prefix *r, const char **error_r)
{
	struct net_prefix p;
	struct str host;
	int64_t bits;
	bool brackets;
	int most;

	*error_r = "bad address pattern";
	if (!take_host(&text, &host, &brackets) ||
	    !net_address_parse(host, 0, &p.address))
		return false;
	most = net_address_family(&p.address) == AF_INET ? 32 : 128;
	if (most == 128 && !brackets && !bare_ipv6) {
		*error_r = "IPv6 address needs [ and ] around it";
		return false;
	}
	bits = most;
	if (text.len > 0 &&
	    (text.p[0] != '/' || !str_to_range(str_skip(text, 1), 0, most, &bits))) {
		*error_r = "bad net/mask pattern";
		return false;
	}
	p.bits = (unsigned)bits;
	if (has_host_bits(&p)) {
		*error_r = "non-null host address bits";
		return false;
	}
	*r = p;
	return true;
}

bool net_prefix_match(const struct net_prefix *p, const struct net_address *a)
{
	unsigned char net[16], host[16];
	size_t len = written_bytes(&p->address, net);

	return len > 0 && host_bytes(a, host) == len && same_bits(net, host, p->bits);
}

bool net_port_parse(struct str text, uint16_t *port_r)
{
	static const struct {
		const char *name;
		uint16_t port;
	} known[] = {
	    {"smtp", 25},
	    {"lmtp", 24},
	    {"submission", 587},
	    {"submissions", 465},
	    {"smtps", 465},
	};
	struct servent *entry;
	char name[64];
	int64_t value;

	if (str_to_range(text, 1, 65535, &value)) {
		*port_r = (uint16_t)value;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (str_is(text, known[i].name)) {
			*port_r = known[i].port;
			return true;
		}
	}
	if (text.len == 0 || !ascii_is_alpha(text.p[0]) ||
	    !str_to_cstr(text, name, sizeof(name)))
		return false;
	entry = getservbyname(name, "tcp");
	if (entry == NULL)
		return false;
	*port_r = ntohs((uint16_t)entry->s_port);
	return true;
}
