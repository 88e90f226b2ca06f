/* A next hop as transport tables, relayhost and fallback relays write it. */
#include "smtp/smtp.h"

#define DEFAULT_PORT 25

/* "host:port" into both halves; an address in brackets keeps its colons. */
static bool split_port(struct str text, struct str *host, struct str *port)
{
	*port = STR_EMPTY;
	*host = text;
	if (text.len > 0 && text.p[0] == '[') {
		ptrdiff_t end = str_find(text, ']');
		if (end < 0)
			return false;
		*host = str_slice(text, 0, (size_t)end + 1);
		struct str rest = str_skip(text, (size_t)end + 1);
		if (rest.len > 0 && rest.p[0] != ':')
			return false;
		*port = str_skip(rest, 1);
		return true;
	}
	ptrdiff_t colon = str_find(text, ':');
	if (colon >= 0) {
		*host = str_slice(text, 0, (size_t)colon);
		*port = str_skip(text, (size_t)colon + 1);
	}
	return host->len > 0;
}

static bool parse_path(struct str path, struct destination *r, struct why *why)
{
	r->name = path;
	r->is_path = true;
	return path.len > 0 || why_later(why, "4.3.5", "bad next hop: unix:");
}

bool destination_parse(struct str text, struct destination *r, struct why *why)
{
	struct str host;
	bool store = smtp.dialect->local_store;
	*r = (struct destination){.port = DEFAULT_PORT, .no_mx = store};
	if (store && str_starts(text, STR("unix:")))
		return parse_path(str_skip(text, 5), r, why);
	if (store && str_starts(text, STR("inet:")))
		text = str_skip(text, 5);
	if (!split_port(text, &host, &r->service))
		return why_later(why, "4.3.5", "bad next hop: %.*s", STR_ARG(text));
	r->explicit_port = r->service.len > 0;
	if (!r->explicit_port)
		r->service = str_of(smtp.params.smtp_tcp_port);
	if (!net_port_parse(r->service, &r->port))
		return why_later(
		    why, "4.3.5", "unknown service: %.*s/tcp", STR_ARG(r->service));
	if (host.p[0] == '[') {
		r->no_mx = true;
		r->literal = true;
		host = str_slice(host, 1, host.len - 1);
		if (str_starts_nocase(host, STR("IPv6:")))
			host = str_skip(host, 5);
	}
	r->name = host;
	return true;
}

/* On another port there may be another server of this machine. */
bool destination_is_other_port(const struct destination *d)
{
	return d->explicit_port && d->port != DEFAULT_PORT;
}

bool destination_wants_srv(const struct destination *d)
{
	struct str services = str_of(smtp.params.use_srv_lookup), word;
	while (!d->literal && str_next(&services, " \t\r\n,", &word))
		if (str_equal_nocase(word, d->service))
			return true;
	return false;
}
