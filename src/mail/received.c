#include "mail/received.h"

#include "base/clock.h"
#include "mail/address.h"

/* "[127.0.0.1]", "[IPv6:::1]" (RFC 5321 4.1.3) */
static void add_client(struct buf *out, struct str name, struct str address)
{
	bool ipv6 =
	    str_find(address, ':') >= 0 && !str_starts_nocase(address, STR("IPv6:"));
	buf_add_str(out, name);
	buf_add_cstr(out, ipv6 ? " [IPv6:" : " [");
	buf_add_str(out, address);
	buf_add_char(out, ']');
}

static void add_date(struct buf *out, const struct received *r)
{
	buf_add_cstr(out, "; ");
	clock_add_rfc5322(out, r->wall_seconds);
}

/* No client: submitted here, by a user or by Posthouse itself. */
static void write_local(struct buf *out, const struct received *r)
{
	buf_add_cstr(out, "Received: by ");
	buf_add_str(out, r->myhostname);
	buf_add_cstr(out, " (");
	buf_add_str(out, r->mail_name);
	if (r->uid >= 0) {
		buf_add_cstr(out, ", from userid ");
		buf_add_i64(out, r->uid);
	}
	buf_add_cstr(out, ")\n\tid ");
	buf_add_str(out, r->queue_id);
	add_date(out, r);
}

void received_write(struct buf *out, const struct received *r)
{
	if (r->helo.len == 0) {
		write_local(out, r);
		return;
	}
	buf_add_cstr(out, "Received: from ");
	buf_add_str(out, r->helo);
	buf_add_cstr(out, " (");
	add_client(out, r->client_name, r->client_address);
	buf_add_cstr(out, ")\n\tby ");
	buf_add_str(out, r->myhostname);
	buf_add_cstr(out, " (");
	buf_add_str(out, r->mail_name);
	buf_add_cstr(out, ") with ");
	buf_add_str(out, r->protocol);
	buf_add_cstr(out, " id ");
	buf_add_str(out, r->queue_id);
	if (r->recipient.len > 0) {
		buf_add_cstr(out, "\n\tfor <");
		address_quote(out, r->recipient);
		buf_add_char(out, '>');
		add_date(out, r);
	} else {
		/* RFC 5321 7.2: with several recipients none is named. */
		buf_add_cstr(out, ";\n\t");
		clock_add_rfc5322(out, r->wall_seconds);
	}
}

void message_id_write(
    struct buf *out, struct str queue_id, struct str myhostname, int64_t wall_seconds)
{
	time_t seconds = (time_t)wall_seconds;
	struct tm utc = {0};
	(void)gmtime_r(&seconds, &utc);
	buf_printf(out, "<%04d%02d%02d%02d%02d%02d.%.*s@%.*s>", utc.tm_year + 1900,
	    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
	    STR_ARG(queue_id), STR_ARG(myhostname));
}
