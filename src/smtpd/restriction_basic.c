/* Restrictions that need no table. */
#include "smtpd/restriction.h"

static enum verdict permit(
    UNUSED struct evaluation *e, UNUSED const struct restriction *r)
{
	return VERDICT_OK;
}

static enum verdict about_stage(
    struct evaluation *e, int64_t code, const char *status, const char *text)
{
	static const enum restriction_needs subject[] = {
	    [STAGE_CLIENT] = NEEDS_NOTHING,
	    [STAGE_HELO] = NEEDS_HELO,
	    [STAGE_SENDER] = NEEDS_SENDER,
	    [STAGE_RELAY] = NEEDS_RECIPIENT,
	    [STAGE_RECIPIENT] = NEEDS_RECIPIENT,
	    [STAGE_DATA] = NEEDS_NOTHING,
	    [STAGE_END_OF_DATA] = NEEDS_NOTHING,
	    [STAGE_ETRN] = NEEDS_ETRN,
	};
	CLEANUP(buf_free) struct buf line = BUF_INIT(REFUSAL_MAX);
	if (e->stage == STAGE_DATA)
		buf_add_cstr(&line, "<DATA>: Data command rejected: ");
	else if (e->stage == STAGE_END_OF_DATA)
		buf_add_cstr(&line, "<END-OF-MESSAGE>: End-of-data rejected: ");
	else
		refuse_subject(e, subject[e->stage], &line);
	buf_add_cstr(&line, text);
	return refuse(e, code, status, "%s", buf_cstr(&line));
}

static enum verdict reject(struct evaluation *e, UNUSED const struct restriction *r)
{
	return about_stage(e, smtpd.params.reject_code, "5.7.1", "Access denied");
}

static enum verdict defer(struct evaluation *e, UNUSED const struct restriction *r)
{
	return about_stage(e, smtpd.params.defer_code, "4.7.1", "Try again later");
}

static enum verdict permit_mynetworks(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return e->session->trusted ? VERDICT_OK : VERDICT_DUNNO;
}

static enum verdict permit_inet_interfaces(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return e->session->own ? VERDICT_OK : VERDICT_DUNNO;
}

/* By XCLIENT so far. */
static enum verdict permit_authenticated(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return e->session->login.len > 0 ? VERDICT_OK : VERDICT_DUNNO;
}

enum destination {
	DESTINATION_OURS,
	DESTINATION_ELSEWHERE,
	DESTINATION_UNKNOWN,
	DESTINATION_MALFORMED,
};

#define CLASSES_OURS                                         \
	(RESOLVE_CLASS_LOCAL | RESOLVE_CLASS_VIRTUAL_ALIAS | \
	    RESOLVE_CLASS_VIRTUAL_MAILBOX | RESOLVE_CLASS_RELAY)

/* Ours: a domain we are final for or relay for, without a route through us to elsewhere.
 * What nobody says to be ours is not. */
static enum destination destination_of(const struct resolved *r)
{
	if (r->flags & RESOLVE_TRY_LATER)
		return DESTINATION_UNKNOWN;
	if (r->flags & RESOLVE_ERROR)
		return DESTINATION_MALFORMED;
	if ((r->flags & RESOLVE_ROUTED) && !smtpd.params.allow_untrusted_routing)
		return DESTINATION_ELSEWHERE;
	return r->flags & CLASSES_OURS ? DESTINATION_OURS : DESTINATION_ELSEWHERE;
}

static enum destination destination(struct evaluation *e)
{
	struct arena *a = arena_new(65536);
	struct resolved resolved;
	enum destination result = DESTINATION_UNKNOWN;
	if (recipient_resolve(session_sender(e->session), *e->recipient, a, &resolved) ==
	    0)
		result = destination_of(&resolved);
	arena_free(a);
	return result;
}

/* What the resolver finds to be no address is logged as what the parser does. */
static enum verdict malformed(struct evaluation *e, struct str address)
{
	enum verdict verdict = refuse(e, 501, "5.1.3", "Bad recipient address syntax");
	buf_add_char(&e->malformed, '<');
	address_quote(&e->malformed, address);
	buf_add_char(&e->malformed, '>');
	return verdict;
}

static enum verdict unauth_destination(
    struct evaluation *e, int64_t code, const char *status)
{
	switch (destination(e)) {
	case DESTINATION_OURS:
		return VERDICT_DUNNO;
	case DESTINATION_UNKNOWN:
		return recipient_try_later(e, *e->recipient);
	case DESTINATION_MALFORMED:
		return malformed(e, *e->recipient);
	case DESTINATION_ELSEWHERE:
		break;
	}
	return refuse(
	    e, code, status, "<%.*s>: Relay access denied", STR_ARG(*e->recipient));
}

static enum verdict reject_unauth_destination(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return unauth_destination(e, smtpd.params.relay_domains_reject_code, "5.7.1");
}

static enum verdict defer_unauth_destination(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	int64_t code = smtpd.params.relay_domains_reject_code;
	return unauth_destination(e, code >= 500 ? code - 100 : code, "4.7.1");
}

static enum verdict permit_auth_destination(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	switch (destination(e)) {
	case DESTINATION_OURS:
		return VERDICT_OK;
	case DESTINATION_UNKNOWN:
		return recipient_try_later(e, *e->recipient);
	case DESTINATION_MALFORMED:
		return malformed(e, *e->recipient);
	case DESTINATION_ELSEWHERE:
		break;
	}
	return VERDICT_DUNNO;
}

static enum verdict unlisted(struct evaluation *e, struct str address)
{
	struct arena *a = arena_new(65536);
	struct resolved resolved;
	enum verdict verdict = VERDICT_DUNNO;
	if (recipient_resolve(session_sender(e->session), address, a, &resolved) != 0) {
		verdict = recipient_try_later(e, address);
	} else if (resolved.flags & RESOLVE_ERROR) {
		verdict = malformed(e, address);
	} else {
		verdict = recipient_check_listed(e, address, &resolved);
		e->refusal.class = NOTICE_BOUNCE;
	}
	arena_free(a);
	return verdict;
}

static enum verdict reject_unlisted_recipient(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return unlisted(e, *e->recipient);
}

/* The null sender exists always. */
static enum verdict reject_unlisted_sender(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	struct str sender = e->session->transaction->sender;
	if (sender.len == 0 || unlisted(e, sender) != VERDICT_REJECT)
		return VERDICT_DUNNO;
	ptrdiff_t colon = str_find_str(buf_str(&e->refusal.text), STR("rejected: "));
	CLEANUP(buf_free) struct buf reason = BUF_INIT(REFUSAL_MAX);
	buf_add_str(&reason,
	    colon < 0 ? buf_str(&e->refusal.text)
		      : str_skip(buf_str(&e->refusal.text), (size_t)colon + 10));
	return refuse(e, e->refusal.code, e->refusal.code < 500 ? "4.1.8" : "5.1.0",
	    "<%.*s>: Sender address rejected: %s", STR_ARG(sender), buf_cstr(&reason));
}

static bool is_fqdn(struct str domain)
{
	struct net_address literal;
	if (address_literal_parse(domain, &literal))
		return true;
	return str_find(domain, '.') > 0 && address_domain_valid(domain, true, NULL);
}

static enum verdict non_fqdn_address(
    struct evaluation *e, struct str address, const char *status, const char *what)
{
	struct address_parts parts = address_split(address);
	if (address.len == 0 || (parts.domain.p != NULL && is_fqdn(parts.domain)))
		return VERDICT_DUNNO;
	return refuse(e, smtpd.params.non_fqdn_reject_code, status,
	    "<%.*s>: %s address rejected: need fully-qualified address", STR_ARG(address),
	    what);
}

static enum verdict reject_non_fqdn_sender(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	return non_fqdn_address(e, e->session->transaction->sender, "5.5.2", "Sender");
}

static enum verdict reject_non_fqdn_recipient(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	if (str_is_nocase(*e->recipient, "postmaster"))
		return VERDICT_DUNNO;
	return non_fqdn_address(e, *e->recipient, "5.5.2", "Recipient");
}

static enum verdict reject_non_fqdn_helo(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	if (is_fqdn(e->session->helo))
		return VERDICT_DUNNO;
	return refuse(e, smtpd.params.non_fqdn_reject_code, "5.5.2",
	    "<%.*s>: Helo command rejected: need fully-qualified hostname",
	    STR_ARG(e->session->helo));
}

static enum verdict reject_invalid_helo(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	struct net_address literal;
	if (address_domain_valid(e->session->helo, true, NULL) ||
	    address_literal_parse(e->session->helo, &literal) ||
	    net_address_parse(e->session->helo, 0, &literal))
		return VERDICT_DUNNO;
	return refuse(e, smtpd.params.invalid_hostname_reject_code, "5.5.2",
	    "<%.*s>: Helo command rejected: Invalid name", STR_ARG(e->session->helo));
}

/* Commands ahead of their turn are refused by the session already, unless that is
 * switched off. */
static enum verdict reject_unauth_pipelining(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	bool sync_point = e->stage == STAGE_DATA || !e->session->esmtp;
	if (!sync_point || stream_pending(e->session->stream, true) == 0)
		return VERDICT_DUNNO;
	return about_stage(e, 503, "5.5.0", "Improper use of SMTP command pipelining");
}

static enum verdict reject_multi_recipient_bounce(
    struct evaluation *e, UNUSED const struct restriction *r)
{
	const struct transaction *t = e->session->transaction;
	if (t == NULL || t->sender.len > 0 || t->count < 2)
		return VERDICT_DUNNO;
	return about_stage(e, smtpd.params.multi_recipient_bounce_reject_code, "5.5.3",
	    "Multi-recipient bounce");
}

const struct restriction_row restriction_basic_rows[] = {
    {"permit", permit, NEEDS_NOTHING, false, false},
    {"reject", reject, NEEDS_NOTHING, false, true},
    {"defer", defer, NEEDS_NOTHING, false, true},
    {"permit_mynetworks", permit_mynetworks, NEEDS_NOTHING, false, false},
    {"permit_inet_interfaces", permit_inet_interfaces, NEEDS_NOTHING, false, false},
    {"permit_sasl_authenticated", permit_authenticated, NEEDS_NOTHING, false, false},
    {"reject_unauth_destination", reject_unauth_destination, NEEDS_RECIPIENT, false,
	true},
    {"defer_unauth_destination", defer_unauth_destination, NEEDS_RECIPIENT, false, true},
    {"permit_auth_destination", permit_auth_destination, NEEDS_RECIPIENT, false, false},
    {"reject_unlisted_recipient", reject_unlisted_recipient, NEEDS_RECIPIENT, false,
	false},
    {"reject_unlisted_sender", reject_unlisted_sender, NEEDS_SENDER, false, false},
    {"reject_non_fqdn_sender", reject_non_fqdn_sender, NEEDS_SENDER, false, false},
    {"reject_non_fqdn_recipient", reject_non_fqdn_recipient, NEEDS_RECIPIENT, false,
	false},
    {"reject_non_fqdn_helo_hostname", reject_non_fqdn_helo, NEEDS_HELO, false, false},
    {"reject_invalid_helo_hostname", reject_invalid_helo, NEEDS_HELO, false, false},
    {"reject_unauth_pipelining", reject_unauth_pipelining, NEEDS_NOTHING, false, false},
    {"reject_multi_recipient_bounce", reject_multi_recipient_bounce, NEEDS_NOTHING, false,
	false},
};
const size_t restriction_basic_count = ARRAY_SIZE(restriction_basic_rows);
