#include "dns/client_name.h"

#include "base/clock.h"
#include "base/log.h"
#include "dns/lookup.h"

#define LOOKUP_MS        10000
#define ADDRESS_TEXT_MAX 256

static void warn(
    const struct buf *reverse, const struct net_address *client, const char *trouble)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_TEXT_MAX);
	net_address_add_text(&address, client);
	log_warning("hostname %s does not resolve to address %s%s%s", buf_cstr(reverse),
	    buf_cstr(&address), trouble != NULL ? ": " : "",
	    trouble != NULL ? trouble : "");
}

static struct str known(const struct buf *name, struct arena *arena)
{
	return name->len > 0 ? arena_str(arena, buf_str(name)) : CLIENT_NAME_UNKNOWN;
}

struct client_name client_name_find(const struct net_address *client, struct arena *arena)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(DNS_NAME_MAX + 1);
	CLEANUP(buf_free) struct buf reverse = BUF_INIT(DNS_NAME_MAX + 1);
	const char *trouble = NULL;
	(void)dns_verified_name(
	    client, &name, &reverse, &trouble, deadline_after_ms(LOOKUP_MS));
	if (reverse.len > 0 && name.len == 0)
		warn(&reverse, client, trouble);
	return (struct client_name){known(&name, arena), known(&reverse, arena)};
}
