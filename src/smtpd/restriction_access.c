/* Access tables (access(5)): which keys are asked. */
#include "smtpd/restriction.h"

/* True when the search is over: found (verdict set) or trouble. */
static bool ask(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key, enum verdict *verdict)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	switch (table_lookup(r->table, key, &value)) {
	case TABLE_ABSENT:
		return false;
	case TABLE_FOUND:
		*verdict = access_result_take(e, r, about, key, buf_str(&value));
		return true;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	*verdict = access_result_trouble(e, r, about, key);
	return true;
}

/* "a.b.c", then its parents, with or without their dot
 * (parent_domain_matches_subdomains). */
static bool ask_domain(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str domain, enum verdict *verdict)
{
	bool dotted =
	    !str_list_has(str_of(service_common()->parent_domain_matches_subdomains),
		"smtpd_access_maps");
	if (ask(e, r, about, domain, verdict))
		return true;
	while (table_is_fixed(r->table)) {
		ptrdiff_t dot = str_find(str_skip(domain, 1), '.');
		if (dot < 0)
			return false;
		domain = str_skip(domain, (size_t)dot + 1);
		if (ask(e, r, about, dotted ? domain : str_skip(domain, 1), verdict))
			return true;
	}
	return false;
}

/* "1.2.3.4", "1.2.3", "1.2", "1"; for IPv6 by groups. */
static bool ask_address(struct evaluation *e, const struct restriction *r,
    struct str address, enum verdict *verdict)
{
	char separator = str_find(address, ':') >= 0 ? ':' : '.';
	for (;;) {
		if (ask(e, r, NEEDS_NOTHING, address, verdict))
			return true;
		ptrdiff_t at = str_find_last(address, separator);
		if (at <= 0 || !table_is_fixed(r->table))
			return false;
		address = str_slice(address, 0, (size_t)at);
	}
}

static enum verdict check_client_access(struct evaluation *e, const struct restriction *r)
{
	const struct session *s = e->session;
	enum verdict verdict = VERDICT_DUNNO;
	if (!ask_domain(e, r, NEEDS_NOTHING, s->name, &verdict))
		(void)ask_address(e, r, s->address, &verdict);
	return verdict;
}

static enum verdict check_helo_access(struct evaluation *e, const struct restriction *r)
{
	enum verdict verdict = VERDICT_DUNNO;
	(void)ask_domain(e, r, NEEDS_HELO, e->session->helo, &verdict);
	return verdict;
}

/* user+ext@dom, user@dom, dom and its parents, user+ext@, user@. */
static enum verdict check_address(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str address)
{
	enum verdict verdict = VERDICT_DUNNO;
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX + 2);
	struct address_parts parts = address_split(address);
	if (ask(e, r, about, address, &verdict) || !table_is_fixed(r->table))
		return verdict;
	const struct address_extension_rules rules = service_extension_rules();
	struct address_extension split = address_split_extension(parts.local, &rules);
	if (split.extension.p != NULL && parts.domain.p != NULL) {
		buf_printf(&key, "%.*s@%.*s", STR_ARG(split.base), STR_ARG(parts.domain));
		if (ask(e, r, about, buf_str(&key), &verdict))
			return verdict;
	}
	if (parts.domain.p != NULL && ask_domain(e, r, about, parts.domain, &verdict))
		return verdict;
	const struct str locals[] = {parts.local, split.base};
	for (size_t i = 0; i < ARRAY_SIZE(locals); i++) {
		buf_clear(&key);
		buf_printf(&key, "%.*s@", STR_ARG(locals[i]));
		if (ask(e, r, about, buf_str(&key), &verdict))
			return verdict;
	}
	return verdict;
}

static enum verdict check_sender_access(struct evaluation *e, const struct restriction *r)
{
	struct str sender = e->session->transaction->sender;
	if (sender.len == 0)
		sender = str_of(smtpd.params.smtpd_null_access_lookup_key);
	return check_address(e, r, NEEDS_SENDER, sender);
}

static enum verdict check_recipient_access(
    struct evaluation *e, const struct restriction *r)
{
	return check_address(e, r, NEEDS_RECIPIENT, *e->recipient);
}

static enum verdict check_etrn_access(struct evaluation *e, const struct restriction *r)
{
	enum verdict verdict = VERDICT_DUNNO;
	(void)ask_domain(e, r, NEEDS_ETRN, *e->etrn, &verdict);
	return verdict;
}

const struct restriction_row restriction_access_rows[] = {
    {"check_client_access", check_client_access, NEEDS_NOTHING, true, false},
    {"check_helo_access", check_helo_access, NEEDS_HELO, true, false},
    {"check_sender_access", check_sender_access, NEEDS_SENDER, true, false},
    {"check_recipient_access", check_recipient_access, NEEDS_RECIPIENT, true, false},
    {"check_etrn_access", check_etrn_access, NEEDS_ETRN, true, false},
};
const size_t restriction_access_count = ARRAY_SIZE(restriction_access_rows);
