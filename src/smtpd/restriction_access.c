/* Access tables (access(5)): which keys are asked, and what their results mean. */
#include "base/log.h"
#include "mail/address_maps.h"
#include "mail/header.h"
#include "smtpd/restriction.h"

static enum verdict refuse_access(struct evaluation *e, enum restriction_needs about,
    int64_t code, const char *status, struct str text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	refuse_subject(e, about, &line);
	if (text.len == 0)
		text = STR("Access denied");
	buf_add_str(&line, text);
	return refuse(e, code, status, "%s", buf_cstr(&line));
}

/* "550 5.7.77 custom": the code is taken as it stands, an enhanced code out of the text.
 */
static enum verdict numeric(
    struct evaluation *e, enum restriction_needs about, int64_t code, struct str text)
{
	char status[DSN_STATUS_MAX] = "5.7.1";
	status[0] = code < 500 ? '4' : '5';
	size_t len = dsn_status_at(text);
	if (len > 0 && str_to_cstr(str_slice(text, 0, len), status, sizeof(status)))
		text = str_trim(str_skip(text, len));
	return refuse_access(e, about, code, status, text);
}

static void log_action(const struct evaluation *e, enum restriction_needs about,
    const char *action, struct str text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	refuse_subject(e, about, &line);
	ptrdiff_t word = str_find_str(buf_str(&line), STR(" rejected: "));
	if (word >= 0)
		buf_truncate(&line, (size_t)word + 1);
	buf_add_str(&line, text);
	session_log_action(
	    e->session, action, restriction_stage_word(e), buf_str(&line), e->recipient);
}

static enum verdict action_ok(UNUSED struct evaluation *e,
    UNUSED enum restriction_needs about, UNUSED struct str text)
{
	return VERDICT_OK;
}

static enum verdict action_dunno(UNUSED struct evaluation *e,
    UNUSED enum restriction_needs about, UNUSED struct str text)
{
	return VERDICT_DUNNO;
}

static enum verdict action_reject(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	return numeric(e, about, smtpd.params.access_map_reject_code, text);
}

static enum verdict action_defer(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	return numeric(e, about, smtpd.params.access_map_defer_code, text);
}

/* What is only said when it comes to that has words of its own. */
static enum verdict defer_later(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	return action_defer(e, about, text.len > 0 ? text : STR("Service unavailable"));
}

static enum verdict action_defer_if_permit(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (e->defer_if_permit)
		return VERDICT_DUNNO;
	(void)defer_later(e, about, text);
	refuse_if_permit(e);
	return VERDICT_DUNNO;
}

static enum verdict action_defer_if_reject(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (e->defer_if_reject)
		return VERDICT_DUNNO;
	(void)defer_later(e, about, text);
	e->defer_if_reject = true;
	refusal_keep(&e->deferred_reject, &e->refusal);
	return VERDICT_DUNNO;
}

/* What an action leaves for cleanup; a copy lives as long as the transaction. */
static void keep(struct evaluation *e, struct str text, struct str *kept)
{
	struct transaction *t = e->session->transaction;
	struct str copy = arena_str(t->arena, text);
	if (copy.p != NULL)
		*kept = copy;
}

static bool needs_text(const struct evaluation *e, struct str text, const char *action)
{
	if (text.len > 0 && e->session->transaction != NULL)
		return true;
	log_warning("access table: %s action needs text and a sender", action);
	return false;
}

static enum verdict action_filter(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (!needs_text(e, text, "FILTER"))
		return VERDICT_DUNNO;
	keep(e, text, &e->session->transaction->filter);
	CLEANUP(buf_free) struct buf line = BUF_INIT(2400);
	buf_printf(&line, "triggers FILTER %.*s", STR_ARG(text));
	log_action(e, about, "filter", buf_str(&line));
	return VERDICT_DUNNO;
}

static enum verdict action_redirect(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (!needs_text(e, text, "REDIRECT") || str_find(text, '@') < 0)
		return VERDICT_DUNNO;
	keep(e, text, &e->session->transaction->redirect);
	CLEANUP(buf_free) struct buf line = BUF_INIT(2400);
	buf_printf(&line, "triggers REDIRECT %.*s", STR_ARG(text));
	log_action(e, about, "redirect", buf_str(&line));
	return VERDICT_DUNNO;
}

static enum verdict action_bcc(
    struct evaluation *e, UNUSED enum restriction_needs about, struct str text)
{
	struct transaction *t = e->session->transaction;
	if (!needs_text(e, text, "BCC") || str_find(text, '@') < 0)
		return VERDICT_DUNNO;
	for (size_t i = 0; i < t->bcc_count; i++)
		if (str_equal(t->bcc[i], text))
			return VERDICT_DUNNO;
	if (t->bcc_count == BCC_MAX)
		log_warning("access table: more than %d BCC actions", BCC_MAX);
	else
		keep(e, text, &t->bcc[t->bcc_count++]);
	return VERDICT_DUNNO;
}

/* A header field above our Received. */
static enum verdict action_prepend(
    struct evaluation *e, UNUSED enum restriction_needs about, struct str text)
{
	struct str *all = &e->session->transaction->prepend;
	if (!needs_text(e, text, "PREPEND") || header_name_length(text) == 0)
		return VERDICT_DUNNO;
	CLEANUP(buf_free) struct buf joined = BUF_INIT(PREPEND_MAX);
	buf_add_str(&joined, *all);
	buf_add_str(&joined, text);
	buf_add_char(&joined, '\n');
	if (buf_ok(&joined))
		keep(e, buf_str(&joined), all);
	return VERDICT_DUNNO;
}

/* True when the message is marked now; once a message is enough for the log. */
static bool marks_first(const struct evaluation *e, uint32_t flag)
{
	struct transaction *t = e->session->transaction;
	if (t == NULL)
		return true;
	bool first = (t->cleanup_flags & flag) == 0;
	t->cleanup_flags |= flag;
	return first;
}

static enum verdict action_hold(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (marks_first(e, CLEANUP_HOLD))
		log_action(
		    e, about, "hold", text.len > 0 ? text : STR("triggers HOLD action"));
	return VERDICT_DUNNO;
}

static enum verdict action_discard(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (marks_first(e, CLEANUP_DISCARD))
		log_action(e, about, "discard",
		    text.len > 0 ? text : STR("triggers DISCARD action"));
	return VERDICT_DUNNO;
}

static enum verdict action_warn(
    struct evaluation *e, UNUSED enum restriction_needs about, struct str text)
{
	session_log_action(
	    e->session, "warn", restriction_stage_word(e), text, e->recipient);
	return VERDICT_DUNNO;
}

static enum verdict action_info(
    struct evaluation *e, UNUSED enum restriction_needs about, struct str text)
{
	session_log_action(
	    e->session, "info", restriction_stage_word(e), text, e->recipient);
	return VERDICT_DUNNO;
}

static const struct {
	const char *name;
	enum verdict (*act)(
	    struct evaluation *e, enum restriction_needs about, struct str text);
	bool needs_message; /* so that ETRN has no use for it */
} actions[] = {
    {"OK", action_ok, false},
    {"RELAY", action_ok, false},
    {"DUNNO", action_dunno, false},
    {"REJECT", action_reject, false},
    {"DEFER", action_defer, false},
    {"DEFER_IF_PERMIT", action_defer_if_permit, false},
    {"DEFER_IF_REJECT", action_defer_if_reject, false},
    {"FILTER", action_filter, true},
    {"REDIRECT", action_redirect, true},
    {"BCC", action_bcc, true},
    {"PREPEND", action_prepend, true},
    {"HOLD", action_hold, true},
    {"DISCARD", action_discard, true},
    {"WARN", action_warn, false},
    {"INFO", action_info, false},
};

static bool is_all_digits(struct str word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!ascii_is_digit(word.p[i]))
			return false;
	return word.len > 0;
}

static enum verdict act(struct evaluation *e, const struct restriction *r, size_t action,
    enum restriction_needs about, struct str text)
{
	if (!actions[action].needs_message || e->stage != STAGE_ETRN)
		return actions[action].act(e, about, text);
	log_warning(
	    "access table %s: action %s is unavailable in smtpd_etrn_restrictions",
	    table_name(r->table), actions[action].name);
	return VERDICT_DUNNO;
}

static enum verdict take_result(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str result)
{
	struct str rest = result, word;
	int64_t code;
	if (!str_next(&rest, " \t", &word))
		return VERDICT_DUNNO;
	struct str text = str_trim(rest);
	if (word.len == 3 && str_to_range(word, 400, 599, &code))
		return numeric(e, about, code, text);
	if (is_all_digits(word))
		return VERDICT_OK;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (str_is_nocase(word, actions[i].name))
			return act(e, r, i, about, text);
	return restriction_run_text(e, result);
}

static enum verdict table_trouble(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key)
{
	log_warning("%s lookup error for \"%.*s\"", table_name(r->table), STR_ARG(key));
	return refuse_access(e, about, 451, "4.3.5", STR("Server configuration error"));
}

/* True when the search is over: found (verdict set) or trouble. */
static bool ask(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key, enum verdict *verdict)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	switch (table_lookup(r->table, key, &value)) {
	case TABLE_ABSENT:
		return false;
	case TABLE_FOUND:
		*verdict = take_result(e, r, about, buf_str(&value));
		return true;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	*verdict = table_trouble(e, r, about, key);
	return true;
}

/* "a.b.c", then its parents, with or without their dot
 * (parent_domain_matches_subdomains). */
static bool ask_domain(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str domain, enum verdict *verdict)
{
	bool dotted =
	    str_find_str(str_of(service_common()->parent_domain_matches_subdomains),
		STR("smtpd_access_maps")) < 0;
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
