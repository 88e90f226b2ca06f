/* Results of access tables (access(5)): refusals, actions, and further restrictions. */
#include "base/log.h"
#include "mail/header.h"
#include "smtpd/restriction.h"

static enum verdict refuse_access(struct evaluation *e, enum restriction_needs about,
    int64_t code, const char *status, struct str text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REFUSAL_MAX);
	refuse_subject(e, about, &line);
	if (text.len == 0)
		text = STR("Access denied");
	buf_add_str(&line, text);
	return refuse(e, code, status, "%s", buf_cstr(&line));
}

/*
 * RFC 3463 3.2 tells a sender's trouble from a recipient's: X.1.7 and X.1.8 are a
 * sender's, X.1.1 to X.1.6 a recipient's, and a client's or a HELO's is none of them. A
 * table does not know whom it will be asked about.
 */
static void map_status(enum restriction_needs about, char *status)
{
	static const struct {
		const char *about, *digits; /* what X.1.0 to X.1.9 become; NULL: X.0.0 */
	} maps[] = {
	    [NEEDS_NOTHING] = {"Client host", NULL},
	    [NEEDS_HELO] = {"Helo command", NULL},
	    [NEEDS_SENDER] = {"Sender address", "0787707780"},
	    [NEEDS_RECIPIENT] = {"Recipient address", "0123456320"},
	    [NEEDS_ETRN] = {"Etrn command", NULL},
	};
	char mapped[DSN_STATUS_MAX];
	if (!str_starts(str_skip(str_of(status), 1), STR(".1.")) ||
	    !ascii_is_digit(status[4]) || status[5] != '\0')
		return;
	memcpy(mapped, status, sizeof(mapped));
	if (maps[about].digits == NULL)
		mapped[2] = mapped[4] = '0';
	else
		mapped[4] = maps[about].digits[status[4] - '0'];
	if (strcmp(mapped, status) == 0)
		return;
	log_info(
	    "mapping DSN status %s into %s status %s", status, maps[about].about, mapped);
	memcpy(status, mapped, sizeof(mapped));
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
	map_status(about, status);
	return refuse_access(e, about, code, status, text);
}

static void log_action(const struct evaluation *e, enum restriction_needs about,
    const char *action, struct str text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REFUSAL_MAX);
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
	refuse_keep(&e->deferred_reject, &e->refusal);
	return VERDICT_DUNNO;
}

/* What an action leaves for cleanup; a copy lives as long as the transaction. False:
 * there is no memory for it; without it the mail must not go on. */
static bool keep(struct evaluation *e, struct str text, struct str *kept)
{
	struct transaction *t = e->session->transaction;
	struct str copy = arena_str(t->arena, text);
	if (copy.p != NULL)
		*kept = copy;
	return copy.p != NULL;
}

static enum verdict action_filter(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (!keep(e, text, &e->session->transaction->filter))
		return defer_later(e, about, STR_EMPTY);
	CLEANUP(buf_free) struct buf line = BUF_INIT(2400);
	buf_printf(&line, "triggers FILTER %.*s", STR_ARG(text));
	log_action(e, about, "filter", buf_str(&line));
	return VERDICT_DUNNO;
}

static enum verdict action_redirect(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	if (!keep(e, text, &e->session->transaction->redirect))
		return defer_later(e, about, STR_EMPTY);
	CLEANUP(buf_free) struct buf line = BUF_INIT(2400);
	buf_printf(&line, "triggers REDIRECT %.*s", STR_ARG(text));
	log_action(e, about, "redirect", buf_str(&line));
	return VERDICT_DUNNO;
}

static enum verdict action_bcc(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	struct transaction *t = e->session->transaction;
	for (size_t i = 0; i < t->bcc_count; i++)
		if (str_equal(t->bcc[i], text))
			return VERDICT_DUNNO;
	if (t->bcc_count == BCC_MAX) {
		log_warning("access table: more than %d BCC actions", BCC_MAX);
		return VERDICT_DUNNO;
	}
	if (!keep(e, text, &t->bcc[t->bcc_count]))
		return defer_later(e, about, STR_EMPTY);
	t->bcc_count++;
	CLEANUP(buf_free) struct buf line = BUF_INIT(2400);
	buf_printf(&line, "triggers BCC %.*s", STR_ARG(text));
	log_action(e, about, "bcc", buf_str(&line));
	return VERDICT_DUNNO;
}

/* A header field above our Received. */
static enum verdict action_prepend(
    struct evaluation *e, enum restriction_needs about, struct str text)
{
	struct str *all = &e->session->transaction->prepend;
	CLEANUP(buf_free) struct buf joined = BUF_INIT(PREPEND_MAX);
	buf_add_str(&joined, *all);
	buf_add_str(&joined, text);
	buf_add_char(&joined, '\n');
	if (buf_ok(&joined) && !keep(e, buf_str(&joined), all))
		return defer_later(e, about, STR_EMPTY);
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

static bool has_colon(struct str text)
{
	return str_find(text, ':') >= 0;
}

static bool has_at(struct str text)
{
	return str_find(text, '@') >= 0;
}

static bool is_header(struct str text)
{
	return header_name_length(text) > 0;
}

static const struct {
	const char *name;
	enum verdict (*act)(
	    struct evaluation *e, enum restriction_needs about, struct str text);
	bool needs_message;            /* so that ETRN has no use for it */
	bool (*fits)(struct str text); /* NULL: any, or none */
	const char *needs;
} actions[] = {
    {"OK", action_ok, false, NULL, NULL},
    {"RELAY", action_ok, false, NULL, NULL},
    {"DUNNO", action_dunno, false, NULL, NULL},
    {"REJECT", action_reject, false, NULL, NULL},
    {"DEFER", action_defer, false, NULL, NULL},
    {"DEFER_IF_PERMIT", action_defer_if_permit, false, NULL, NULL},
    {"DEFER_IF_REJECT", action_defer_if_reject, false, NULL, NULL},
    {"FILTER", action_filter, true, has_colon, "transport:destination"},
    {"REDIRECT", action_redirect, true, has_at, "user@domain target"},
    {"BCC", action_bcc, true, has_at, "user@domain target"},
    {"PREPEND", action_prepend, true, is_header, "header: text"},
    {"HOLD", action_hold, true, NULL, NULL},
    {"DISCARD", action_discard, true, NULL, NULL},
    {"WARN", action_warn, false, NULL, NULL},
    {"INFO", action_info, false, NULL, NULL},
};

/* What a table says: for warnings about it. */
struct entry {
	const struct restriction *restriction;
	struct str key, text; /* behind the action */
};

/* What an action does for a message it cannot do without one: before MAIL. */
static bool can_act(const struct evaluation *e, const struct entry *entry, size_t action)
{
	const char *table = table_name(entry->restriction->table);
	const char *name = actions[action].name;
	if (actions[action].needs_message && e->stage == STAGE_ETRN)
		log_warning(
		    "access table %s: action %s is unavailable in smtpd_etrn_restrictions",
		    table, name);
	else if (actions[action].act == action_prepend && e->stage == STAGE_END_OF_DATA)
		log_warning("access table %s: action %s must be used before "
			    "smtpd_end_of_data_restrictions",
		    table, name);
	else if (actions[action].fits == NULL)
		return true;
	else if (!actions[action].fits(entry->text))
		log_warning("access table %s entry \"%.*s\" requires %s", table,
		    STR_ARG(entry->key), actions[action].needs);
	else if (e->session->transaction == NULL)
		log_warning("access table %s: action %s needs a sender", table, name);
	else
		return true;
	return false;
}

/* A table that has nothing to say of a key must not have the key. */
static enum verdict empty_result(
    struct evaluation *e, const struct entry *entry, enum restriction_needs about)
{
	const char *table = table_name(entry->restriction->table);
	log_warning("%s lookup of %.*s returns an empty string result", table,
	    STR_ARG(entry->key));
	log_warning("%s should return NO RESULT in case of NOT FOUND", table);
	return refuse_access(e, about, 451, "4.3.5", STR("Server configuration error"));
}

enum verdict access_result_take(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key, struct str result)
{
	struct entry entry = {.restriction = r, .key = key};
	struct str rest = result, word;
	int64_t code;
	if (!str_next(&rest, " \t", &word))
		return empty_result(e, &entry, about);
	entry.text = str_trim(rest);
	if (entry.text.len == 0 && str_is_digits(word))
		return VERDICT_OK;
	if (word.len == 3 && str_to_range(word, 400, 599, &code))
		return numeric(e, about, code, entry.text);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!str_is_nocase(word, actions[i].name))
			continue;
		return can_act(e, &entry, i) ? actions[i].act(e, about, entry.text)
					     : VERDICT_DUNNO;
	}
	return restriction_run_text(e, result);
}

enum verdict access_result_trouble(struct evaluation *e, const struct restriction *r,
    enum restriction_needs about, struct str key)
{
	log_warning("%s lookup error for \"%.*s\"", table_name(r->table), STR_ARG(key));
	return refuse_access(e, about, 451, "4.3.5", STR("Server configuration error"));
}
