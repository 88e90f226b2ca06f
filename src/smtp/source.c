#include "smtp/source.h"

#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "net/connect.h"
#include "smtp/smtp.h"

#define INTERFACES_MAX 64

static struct net_address sources[2]; /* IPv4, IPv6; len 0: none */

static void take_parameter(const char *name, const char *value, struct net_address *r)
{
	struct str text = str_trim(str_of(value));
	if (text.len == 0)
		return;
	if (text.p[0] == '[' && text.p[text.len - 1] == ']')
		text = str_slice(text, 1, text.len - 1);
	if (!net_address_parse(text, 0, r))
		fatal("bad %s parameter: %s", name, value);
}

/* Only when it is the single one of its family. */
static void take_interface(const struct net_address *all, size_t count, int family)
{
	const struct net_address *found = NULL;
	size_t of_family = 0;
	for (size_t i = 0; i < count; i++) {
		if (net_address_family(&all[i]) != family)
			continue;
		found = &all[i];
		of_family++;
	}
	if (of_family == 1 && !net_address_is_loopback(found))
		sources[family == AF_INET6] = *found;
}

void source_before_jail(void)
{
	struct net_address all[INTERFACES_MAX];
	size_t count = net_listed_addresses(
	    str_of(service_common()->inet_interfaces), all, INTERFACES_MAX);
	take_interface(all, count, AF_INET);
	take_interface(all, count, AF_INET6);
	take_parameter("smtp_bind_address", smtp.params.smtp_bind_address, &sources[0]);
	take_parameter("smtp_bind_address6", smtp.params.smtp_bind_address6, &sources[1]);
}

bool source_choose(
    const struct net_address *to, const struct net_address **source_r, struct why *why)
{
	int family = net_address_family(to);
	const struct net_address *source = &sources[family == AF_INET6];
	*source_r = NULL;
	if (family == AF_UNIX || source->len == 0)
		return true;
	int error = net_bind_check(source);
	if (error == 0) {
		*source_r = source;
		return true;
	}
	CLEANUP(buf_free) struct buf text = BUF_INIT(NET_ADDRESS_TEXT_MAX);
	net_address_add_text(&text, source);
	log_warning("smtp_connect_addr: bind %s: %s", buf_cstr(&text), strerror(-error));
	return !smtp.params.smtp_bind_address_enforce ||
	    why_later(why, "4.4.0", "server configuration error");
}
