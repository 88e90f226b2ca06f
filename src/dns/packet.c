#include "dns/packet.h"

void packet_u16(struct buf *out, unsigned value)
{
	buf_add_char(out, (char)(value >> 8 & 0xFF));
	buf_add_char(out, (char)(value & 0xFF));
}

void packet_name(struct buf *out, const char *name)
{
	struct str rest = str_of(name), label;

	while (str_next(&rest, ".", &label)) {
		buf_add_char(out, (char)label.len);
		buf_add_str(out, label);
	}
	buf_add_char(out, '\0');
}

void packet_head(struct buf *out, uint16_t id, unsigned flags, unsigned answers,
    const char *name, unsigned type)
{
	packet_u16(out, id);
	packet_u16(out, flags);
	packet_u16(out, 1);
	packet_u16(out, answers);
	packet_u16(out, 0);
	packet_u16(out, 0);
	packet_name(out, name);
	packet_u16(out, type);
	packet_u16(out, 1);
}

void packet_record(
    struct buf *out, const char *owner, unsigned type, uint32_t ttl, struct str data)
{
	if (owner == NULL)
		packet_u16(out, 0xC00C);
	else
		packet_name(out, owner);
	packet_u16(out, type);
	packet_u16(out, 1);
	packet_u16(out, ttl >> 16);
	packet_u16(out, ttl & 0xFFFF);
	packet_u16(out, (unsigned)data.len);
	buf_add_str(out, data);
}

void packet_mx(struct buf *out, const char *owner, unsigned preference, const char *host)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(300);

	packet_u16(&data, preference);
	packet_name(&data, host);
	packet_record(out, owner, DNS_MX, 300, buf_str(&data));
}

void packet_opt(struct buf *out)
{
	static const char opt[] = {0, 0, 41, 4, (char)0xd0, 0, 0, 0, 0, 0, 0};

	buf_add(out, opt, sizeof(opt));
	out->p[11]++;
}
