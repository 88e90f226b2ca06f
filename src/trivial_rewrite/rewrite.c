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

/* The routing forms of old networks, where there is no '@'. */
static ptrdiff_t bang_of(struct str local)
{
	return rewriter.params.swap_bangpath ? str_find(local, '!') : -1;
}

static ptrdiff_t percent_of(struct str local)
{
	return rewriter.params.allow_percent_hack ? str_find_last(local, '%') : -1;
}

bool rewrite_has_route(struct str local)
{
	return str_find(local, '@') >= 0 || bang_of(local) >= 0 || percent_of(local) >= 0;
}

/* A local part with a route, but without '@'. */
static struct str swap(struct arena *a, struct str local)
{
	ptrdiff_t bang = bang_of(local), percent = percent_of(local);
	if (bang >= 0)
		return join(a, str_skip(local, (size_t)bang + 1),
		    str_slice(local, 0, (size_t)bang));
	return join(a, str_slice(local, 0, (size_t)percent),
	    str_skip(local, (size_t)percent + 1));
}

static struct str complete_domain(
    struct arena *a, struct str address, const char *mydomain)
{
	struct address_parts parts = address_split(address);
	if (parts.domain.p == NULL || parts.domain.len == 0 || parts.domain.p[0] == '[')
		return address;
	if (str_ends(parts.domain, STR(".")))
		return str_slice(address, 0, address.len - 1);
	if (rewriter.params.append_dot_mydomain && str_find(parts.domain, '.') < 0)
		return str_of(arena_printf(a, "%.*s.%s", STR_ARG(address), mydomain));
	return address;
}

struct str rewrite_route(struct arena *a, struct str local)
{
	struct str address = strip_route(local);
	if (address_split(address).domain.p == NULL && rewrite_has_route(address))
		address = swap(a, address);
	return address.p != NULL ? complete_domain(a, address, service_common()->mydomain)
				 : address;
}

static struct str complete(
    struct arena *a, enum rewrite_context context, struct str address)
{
	/* Header addresses of strangers stay as they are, unless
	 * remote_header_rewrite_domain. */
	const char *remote = rewriter.params.remote_header_rewrite_domain;
	bool local = context == REWRITE_LOCAL;
	const char *origin = local ? service_common()->myorigin : remote;
	const char *mydomain = local ? service_common()->mydomain : remote;
	if (address.len == 0 || (!local && remote[0] == '\0'))
		return address;
	address = strip_route(address);
	if (address_split(address).domain.p == NULL) {
		/* What must be quoted is a name, whatever bytes it is made of. */
		if (address_local_is_plain(address) && rewrite_has_route(address))
			address = swap(a, address);
		else if (rewriter.params.append_at_myorigin || !local)
			address = join(a, address, str_of(origin));
	}
	return address.p != NULL ? complete_domain(a, address, mydomain) : address;
}

/* What would become longer than an address may be stays as it is; it is found to be
 * unknown where it is delivered. */
struct str rewrite_address_text(
    struct arena *a, enum rewrite_context context, struct str address)
{
	struct str completed = complete(a, context, address);
	return completed.len <= ADDRESS_MAX ? completed : address;
}
