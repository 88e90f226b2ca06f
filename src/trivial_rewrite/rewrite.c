/*
 * Addresses made whole, in this order: a source route is stripped; host!user and
 * user%host become user@host where there is no '@'; a bare user gets @$myorigin; a domain
 * without dot gets .$mydomain; a final dot goes.
 */
#include "trivial_rewrite/trivial_rewrite.h"

/* RFC 5321 appendix C: "@a,@b:user@c" means user@c. */
static struct str strip_route(struct str address)
{
	while (address.len > 0 && address.p[0] == '@') {
		ptrdiff_t colon = str_find(address, ':');
		if (colon < 0)
			break;
		address = str_skip(address, (size_t)colon + 1);
	}
	return address;
}

static struct str join(struct arena *a, struct str local, struct str domain)
{
	return str_of(arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain)));
}

/* No '@': the routing forms of old networks. */
static struct str bare(struct arena *a, struct str address)
{
	ptrdiff_t bang = str_find(address, '!'), percent = str_find_last(address, '%');
	if (rewriter.params.swap_bangpath && bang > 0)
		return join(a, str_skip(address, (size_t)bang + 1),
		    str_slice(address, 0, (size_t)bang));
	if (rewriter.params.allow_percent_hack && percent > 0)
		return join(a, str_slice(address, 0, (size_t)percent),
		    str_skip(address, (size_t)percent + 1));
	if (rewriter.params.append_at_myorigin)
		return join(a, address, str_of(service_common()->myorigin));
	return address;
}

static struct str complete_domain(struct arena *a, struct str address)
{
	struct address_parts parts = address_split(address);
	if (parts.domain.p == NULL || parts.domain.len == 0 || parts.domain.p[0] == '[')
		return address;
	if (str_ends(parts.domain, STR(".")))
		return str_slice(address, 0, address.len - 1);
	if (rewriter.params.append_dot_mydomain && str_find(parts.domain, '.') < 0)
		return str_of(arena_printf(
		    a, "%.*s.%s", STR_ARG(address), service_common()->mydomain));
	return address;
}

static struct str complete(
    struct arena *a, enum rewrite_context context, struct str address)
{
	/* Header addresses of strangers stay as they are, unless
	 * remote_header_rewrite_domain. */
	const char *remote = rewriter.params.remote_header_rewrite_domain;
	if (address.len == 0 || (context == REWRITE_REMOTE && remote[0] == '\0'))
		return address;
	address = strip_route(address);
	if (address_split(address).domain.p != NULL)
		return complete_domain(a, address);
	if (context == REWRITE_REMOTE)
		return join(a, address, str_of(remote));
	return complete_domain(a, bare(a, address));
}

/* What would become longer than an address may be stays as it is; it is found to be
 * unknown where it is delivered. */
struct str rewrite_address_text(
    struct arena *a, enum rewrite_context context, struct str address)
{
	struct str completed = complete(a, context, address);
	return completed.len <= ADDRESS_MAX ? completed : address;
}
