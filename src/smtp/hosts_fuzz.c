/*
 * Any bytes as the answer of a DNS server to the search for a destination's hosts: SRV
 * records (RFC 2782), exchangers, addresses. The first line is the next hop; then come
 * switches and the records, to be read as the type that is asked for.
 */

#include "base/panic.h"
#include "dns/packet.h"
#include "smtp/lookup.h"
#include "smtp/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum switches {
	IS_LMTP = 1,
	ONE_FAMILY = 2,
	RANDOM = 4,
	BALANCED = 8,
	LIMITED = 16,
	FALLS_BACK = 32,
	PREFERS_IPV6 = 64
};

struct smtp_state smtp;

static const struct dialect dialects[2] = {
    {.name = "smtp"}, {.name = "lmtp", .local_store = true}};
static struct common_params common = {.myhostname = "mx.lab.test"};
static struct str records;
static unsigned answer_count, switches;

const struct common_params *service_common(void)
{
	return &common;
}

bool lookup_uses_dns(void)
{
	return true;
}

bool lookup_wants_family(int family)
{
	return family != AF_INET6 || (switches & ONE_FAMILY) == 0;
}

/* The same records behind each question: a reader takes those of its type and name. */
struct dns_answer lookup_records(
    struct str name, enum dns_type type, struct arena *arena, UNUSED int64_t deadline)
{
	CLEANUP(buf_free) struct buf packet = BUF_INIT(65535), host = BUF_INIT(1024);
	buf_add_str(&host, name);
	if (!dns_name_is_valid(name))
		return (struct dns_answer){.status = DNS_BAD_NAME};
	packet_head(&packet, 7, 0x8180, answer_count, buf_cstr(&host), type);
	buf_add_str(&packet, records);
	return dns_answer_read(buf_str(&packet), 7, name, type, arena);
}

struct dns_answer lookup_host(
    struct str name, int family, struct arena *arena, int64_t deadline)
{
	return lookup_records(
	    name, family == AF_INET6 ? DNS_AAAA : DNS_A, arena, deadline);
}

static void set_parameters(void)
{
	smtp.dialect = &dialects[(switches & IS_LMTP) != 0];
	smtp.params = (struct smtp_params){.use_srv_lookup = "lmtp submission",
	    .smtp_tcp_port = switches & IS_LMTP ? "24" : "25",
	    .relayhost = "",
	    .smtp_address_preference = switches & PREFERS_IPV6 ? "ipv6" : "any",
	    .smtp_randomize_addresses = (switches & RANDOM) != 0,
	    .smtp_balance_inet_protocols = (switches & BALANCED) != 0,
	    .smtp_mx_address_limit = switches & LIMITED ? 3 : 0,
	    .allow_srv_lookup_fallback = (switches & FALLS_BACK) != 0};
}

static void check(const struct host_list *list)
{
	ENSURE(list->count > 0 && list->count <= HOSTS_MAX);
	ENSURE((switches & LIMITED) == 0 || list->count <= 3);
	for (size_t i = 0; i < list->count; i++) {
		const struct host *h = &list->hosts[i];
		int family = net_address_family(&h->address);
		ENSURE(h->name.len > 0);
		ENSURE(family == AF_UNIX || lookup_wants_family(family));
		ENSURE(i == 0 || h->preference >= h[-1].preference);
	}
}

static void search(struct str nexthop, struct arena *arena)
{
	struct why why;
	struct destination destination;
	struct host_list *list = arena_alloc(arena, sizeof(*list));
	why_init(&why);
	ENSURE(list != NULL);
	if (destination_parse(nexthop, &destination, &why)) {
		if (hosts_find(&destination, arena, list, &why))
			check(list);
		else
			ENSURE(why_is_set(&why));
	} else {
		ENSURE(why_is_set(&why));
	}
	why_free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1000000);
	struct str in = {(const char *)data, size};
	ptrdiff_t end = str_find(in, '\n');
	if (end < 0 || in.len < (size_t)end + 3)
		return 0;
	switches = data[end + 1];
	answer_count = data[end + 2];
	records = str_skip(in, (size_t)end + 3);
	set_parameters();
	search(str_slice(in, 0, (size_t)end), arena);
	return 0;
}
