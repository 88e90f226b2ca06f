/* Where a message comes from, in the log and in its queue file: from the client, or, with
 * XFORWARD, from whom the client had it. */
#include "base/memory.h"
#include "smtpd/smtpd.h"

#define CLIENT_SAID                                                            \
	(1u << FORWARDED_NAME | 1u << FORWARDED_ADDR | 1u << FORWARDED_PROTO | \
	    1u << FORWARDED_HELO | 1u << FORWARDED_PORT)

/* Of what makes up the client, what was not said is not known, rather than the client's
 * that passes it on. */
static const char *const not_said[FORWARDED_COUNT] = {
    [FORWARDED_NAME] = "unknown",
    [FORWARDED_ADDR] = "unknown",
    [FORWARDED_PROTO] = "unknown",
    [FORWARDED_HELO] = "",
    [FORWARDED_PORT] = "unknown",
};

static bool is_forwarded(const struct session *s)
{
	return s->forwarded != NULL && (s->forwarded->said & CLIENT_SAID) != 0;
}

static struct str forwarded(const struct session *s, enum forwarded_attribute which)
{
	if ((s->forwarded->said & 1u << which) == 0)
		return str_of(not_said[which]);
	return client_attribute_value(s->forwarded, which);
}

/* RFC 5321 4.1.3 */
static struct str tagged(struct str address, struct arena *a)
{
	return str_find(address, ':') < 0
	    ? address
	    : str_of(arena_printf(a, "IPv6:%.*s", STR_ARG(address)));
}

static struct str forwarded_client(const struct session *s, struct arena *a)
{
	struct str name = forwarded(s, FORWARDED_NAME);
	struct str address = forwarded(s, FORWARDED_ADDR);
	if (str_is(address, "unknown"))
		return name;
	return str_of(arena_printf(a, "%.*s[%.*s]", STR_ARG(name), STR_ARG(address)));
}

struct origin origin_of(const struct session *s)
{
	struct arena *a = s->transaction->arena;
	struct str ident = s->forwarded == NULL
	    ? STR_EMPTY
	    : client_attribute_value(s->forwarded, FORWARDED_IDENT);
	struct origin o = {
	    .ident = ident.len > 0 ? ident : session_queue_id(s),
	    .name = s->name,
	    .address = s->logged_address,
	    .port = s->port,
	    .client = s->client_text,
	    .helo = s->helo,
	    .protocol = str_of(session_protocol(s)),
	};
	if (!is_forwarded(s))
		return o;
	o.name = forwarded(s, FORWARDED_NAME);
	o.address = tagged(forwarded(s, FORWARDED_ADDR), a);
	o.port = forwarded(s, FORWARDED_PORT);
	o.client = forwarded_client(s, a);
	o.helo = forwarded(s, FORWARDED_HELO);
	o.protocol = forwarded(s, FORWARDED_PROTO);
	return o;
}

void origin_describe(const struct session *s, struct buf *out)
{
	if (s->login.len > 0)
		buf_printf(
		    out, ", sasl_method=XCLIENT, sasl_username=%.*s", STR_ARG(s->login));
	if (s->forwarded == NULL)
		return;
	struct str ident = client_attribute_value(s->forwarded, FORWARDED_IDENT);
	if (ident.len > 0)
		buf_printf(out, ", orig_queue_id=%.*s", STR_ARG(ident));
	if (is_forwarded(s))
		buf_printf(out, ", orig_client=%.*s",
		    STR_ARG(forwarded_client(s, s->transaction->arena)));
}

bool origin_completes(const struct session *s)
{
	struct str source = s->forwarded == NULL
	    ? STR_EMPTY
	    : client_attribute_value(s->forwarded, FORWARDED_SOURCE);
	return source.len > 0 ? str_is(source, "local") : s->completes;
}

void origin_take(struct session *s, const struct client_attributes *said)
{
	if (s->forwarded == NULL)
		s->forwarded = memory_alloc(sizeof(*s->forwarded));
	*s->forwarded = *said;
}

void origin_forget(struct session *s)
{
	free(s->forwarded);
	s->forwarded = NULL;
}
