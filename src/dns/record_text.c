#include "dns/message.h"

static const char *type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_NS:
		return "NS";
	case DNS_CNAME:
		return "CNAME";
	case DNS_PTR:
		return "PTR";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	case DNS_SRV:
		return "SRV";
	}
	return "";
}

void dns_record_text(struct buf *out, const struct dns_record *r)
{
	buf_printf(out, "%.*s. %u IN %s ", STR_ARG(r->name), r->ttl, type_name(r->type));
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		net_address_add_text(out, &r->address);
		return;
	case DNS_MX:
		buf_printf(out, "%u ", r->preference);
		break;
	case DNS_SRV:
		buf_printf(out, "%u %u %u ", r->preference, r->weight, r->port);
		break;
	case DNS_TXT:
		buf_add_str(out, r->target);
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		break;
	}
	buf_printf(out, "%.*s.", STR_ARG(r->target));
}
