#include "conf/computed.h"

#include <arpa/inet.h>
#include <unistd.h>

#define NAME_MAX_BYTES 1024
#define NO_DOMAIN      "localdomain"

static void add_host_name(struct buf *out)
{
	char name[256];
	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		buf_add_cstr(out, "localhost");
	else {
		name[sizeof(name) - 1] = '\0';
		buf_add_cstr(out, name);
	}
}

/* The value as set; trouble and an empty value count as not set. */
static bool get_set(struct conf *c, struct str name, struct buf *out)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(NAME_MAX_BYTES);
	const char *raw = conf_raw(c, name, false);
	if (raw == NULL || !conf_expand(c, str_of(raw), out, &error) || out->len == 0) {
		buf_clear(out);
		return false;
	}
	return true;
}

static void add_myhostname(struct conf *c, struct buf *out)
{
	CLEANUP(buf_free) struct buf domain = BUF_INIT(NAME_MAX_BYTES);
	add_host_name(out);
	if (str_find(buf_str(out), '.') >= 0)
		return;
	buf_add_char(out, '.');
	if (get_set(c, STR("mydomain"), &domain))
		buf_add_str(out, buf_str(&domain));
	else
		buf_add_cstr(out, NO_DOMAIN);
}

static void add_mydomain(struct conf *c, struct buf *out)
{
	CLEANUP(buf_free) struct buf host = BUF_INIT(NAME_MAX_BYTES);
	if (!get_set(c, STR("myhostname"), &host))
		add_host_name(&host);
	ptrdiff_t dot = str_find(buf_str(&host), '.');
	if (dot >= 0 && (size_t)dot + 1 < host.len)
		buf_add_str(out, str_skip(buf_str(&host), (size_t)dot + 1));
	else
		buf_add_cstr(out, NO_DOMAIN);
}

bool computed_default(struct conf *c, struct str name, struct buf *out)
{
	if (str_is(name, "myhostname"))
		add_myhostname(c, out);
	else if (str_is(name, "mydomain"))
		add_mydomain(c, out);
	else if (str_is(name, "mynetworks"))
		buf_add_cstr(out, "127.0.0.0/8 [::1]/128");
	else
		return false;
	return true;
}

enum style { STYLE_HOST, STYLE_SUBNET, STYLE_CLASS };

static bool style_parse(const char *text, enum style *style_r)
{
	static const char *const names[] = {"host", "subnet", "class"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_is(str_of(text), names[i])) {
			*style_r = (enum style)i;
			return true;
		}
	return false;
}

/* Prefix length of an IPv4 network by the first bits of its address (RFC 791). */
static int64_t class_of(unsigned char first)
{
	if (first < 128)
		return 8;
	if (first < 192)
		return 16;
	return first < 224 ? 24 : 4;
}

static void clear_host_bits(unsigned char *address, size_t bytes, int64_t prefix)
{
	for (size_t i = 0; i < bytes; i++) {
		int64_t keep = prefix - (int64_t)i * 8;
		if (keep <= 0)
			address[i] = 0;
		else if (keep < 8)
			address[i] =
			    (unsigned char)(address[i] >> (8 - keep) << (8 - keep));
	}
}

static int64_t prefix_for(
    enum style style, int family, const unsigned char *address, int64_t prefix)
{
	if (style == STYLE_HOST)
		return family == AF_INET ? 32 : 128;
	if (style == STYLE_CLASS && family == AF_INET)
		return class_of(address[0]);
	return prefix;
}

static bool add_network(struct str word, enum style style, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	int64_t prefix = 0;
	ptrdiff_t slash = str_find(word, '/');
	if (slash < 0 ||
	    !str_to_cstr(str_slice(word, 0, (size_t)slash), text, sizeof(text)))
		return false;
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	size_t bytes = family == AF_INET6 ? 16 : 4;
	if (inet_pton(family, text, address) != 1 ||
	    !str_to_range(
		str_skip(word, (size_t)slash + 1), 0, (int64_t)bytes * 8, &prefix))
		return false;
	prefix = prefix_for(style, family, address, prefix);
	clear_host_bits(address, bytes, prefix);
	if (inet_ntop(family, address, text, sizeof(text)) == NULL)
		return false;
	const char *format = family == AF_INET6 ? "[%s]/%lld" : "%s/%lld";
	CLEANUP(buf_free) struct buf network = BUF_INIT(100);
	buf_printf(&network, format, text, (long long)prefix);
	struct str rest = buf_str(out);
	struct str known;
	while (str_next(&rest, " ", &known))
		if (str_equal(known, buf_str(&network)))
			return true;
	if (out->len > 0)
		buf_add_char(out, ' ');
	buf_add_str(out, buf_str(&network));
	return true;
}

bool computed_mynetworks(
    const char *style, struct str interfaces, struct buf *out, struct buf *error)
{
	enum style kind = STYLE_HOST;
	if (!style_parse(style, &kind)) {
		buf_printf(error, "unknown mynetworks mask style value \"%s\" in \"%s\"",
		    style, style);
		return false;
	}
	struct str word;
	while (str_next(&interfaces, " ,\t\n", &word))
		if (!add_network(word, kind, out)) {
			buf_printf(error, "bad interface address: %.*s", STR_ARG(word));
			return false;
		}
	return true;
}
