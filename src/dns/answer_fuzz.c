/* Any bytes as a DNS answer, and as the records behind a well-formed question. */
#include "base/panic.h"
#include "dns/message.h"
#include "dns/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_address(struct str target)
{
	struct net_address address;
	return net_address_parse(target, 0, &address);
}

static void check(const struct dns_answer *answer)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(70000);
	ENSURE(answer->count <= DNS_RECORDS_MAX);
	ENSURE((answer->status == DNS_FOUND) == (answer->count > 0));
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *r = &answer->records[i];
		ENSURE(dns_name_is_valid(r->name));
		if (r->type == DNS_A || r->type == DNS_AAAA)
			ENSURE(r->address.len > 0);
		else if (r->type != DNS_TXT && r->target.len > 0)
			ENSURE(dns_name_is_valid(r->target) || is_address(r->target));
		buf_clear(&text);
		dns_record_text(&text, r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {
	    DNS_A, DNS_NS, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_SRV};
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	CLEANUP(buf_free) struct buf packet = BUF_INIT(65535);
	struct dns_answer answer;
	enum dns_type type;

	if (size < 2)
		return 0;
	type = types[data[0] % ARRAY_SIZE(types)];
	if (data[0] < 128)
		packet_head(&packet, 7, 0x8180, data[1], "example.com", type);
	buf_add(&packet, data + 2, size - 2);
	answer = dns_answer_read(buf_str(&packet), 7, STR("example.com"), type, arena);
	check(&answer);
	return 0;
}
