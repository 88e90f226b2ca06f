/* luser_relay: where mail for nobody goes. Commands and files are a later issue. */
#include "base/log.h"
#include "conf/expand.h"
#include "local/local.h"

#define RELAY_MAX 4096

/* The recipient decides what the names stand for; none of it is expanded again. */
static const char *lookup(void *context, struct str name, bool *expand_r)
{
	const struct local_recipient *r = context;
	struct arena *a = r->delivery->arena;
	struct address_parts parts = address_split(r->address);
	*expand_r = false;
	if (str_is(name, "user"))
		return arena_cstr(a, r->base);
	if (str_is(name, "local"))
		return arena_cstr(a, parts.local);
	if (str_is(name, "domain"))
		return arena_cstr(a, parts.domain);
	if (str_is(name, "recipient"))
		return arena_cstr(a, r->address);
	if (str_is(name, "extension") && r->extension.len > 0)
		return arena_cstr(a, r->extension);
	if (str_is(name, "recipient_delimiter") && r->extension.len > 0)
		return arena_cstr(a, str_slice(r->name, r->base.len, r->base.len + 1));
	return NULL;
}

/* Text from strangers may not make more of the address than an address. */
static bool is_one_address(struct str text)
{
	return text.len > 0 && text.len <= ADDRESS_MAX && !str_has_control(text) &&
	    text.p[0] != '|' && text.p[0] != '/';
}

enum user_result luser_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT(RELAY_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(RELAY_MAX);
	struct local_recipient context = *r;
	if (local.params.luser_relay[0] == '\0')
		return USER_NONE;
	if (!expand_text(str_of(local.params.luser_relay), lookup, &context, &address,
		&error, NULL) ||
	    !is_one_address(buf_str(&address))) {
		log_warning("bad value of parameter luser_relay: %s %s",
		    local.params.luser_relay, buf_cstr(&error));
		(void)why_later(why, "4.3.5", "mail system configuration error");
		return USER_FAILED;
	}
	if (r->delivery->request.flags & DELIVERY_VERIFY) {
		buf_printf(text, "aliased to %s", buf_cstr(&address));
		return USER_DELIVERED;
	}
	const struct delivery_recipient *from = r->delivery->recipients[r->index].request;
	struct cleanup_recipient to = {.address = buf_str(&address),
	    .original = from->original,
	    .dsn_orcpt = from->dsn_orcpt,
	    .notify = from->notify};
	return forward_message(r, &to, 1, text, why) ? USER_DELIVERED : USER_FAILED;
}
