/* Restriction lists, evaluated in the order that Postfix documents. */
#include "smtpd/restriction.h"

#include "base/log.h"
#include "base/memory.h"
#include "mail/reply.h"

#define REPLY_MAX 8192

/* --- lists --- */

static bool has_what_it_needs(
    const struct evaluation *e, const struct restriction_row *row)
{
	const struct session *s = e->session;
	switch (row->needs) {
	case NEEDS_HELO:
		return s->helo.len > 0;
	case NEEDS_SENDER:
		return s->transaction != NULL;
	case NEEDS_RECIPIENT:
		return e->recipient != NULL;
	case NEEDS_ETRN:
		return e->etrn != NULL;
	case NEEDS_NOTHING:
		break;
	}
	return true;
}

const char *restriction_stage_word(const struct evaluation *e)
{
	const struct command_row *command = e->session->last_command;
	if (e->stage == STAGE_END_OF_DATA)
		return "END-OF-MESSAGE";
	return command != NULL ? command->log_name : "CONNECT";
}

static void write_reply(const struct evaluation *e, struct buf *out)
{
	reply_write(out, e->refusal.code, e->refusal.status, buf_str(&e->refusal.text));
}

static void log_refusal(const struct evaluation *e, const char *action, struct str reply)
{
	session_log_action(
	    e->session, action, restriction_stage_word(e), reply, e->recipient);
}

/* What a list refuses after defer_if_reject is put off instead. */
static void soften(struct evaluation *e)
{
	if (!e->defer_if_reject || e->refusal.code < 500)
		return;
	(void)refuse(e, e->deferred_reject.code, e->deferred_reject.status, "%s",
	    buf_cstr(&e->deferred_reject.text));
}

static enum verdict misconfigured(struct evaluation *e)
{
	(void)refuse(e, 451, "4.3.5", "Server configuration error");
	e->refusal.class = NOTICE_SOFTWARE;
	return VERDICT_REJECT;
}

static enum verdict run_one(struct evaluation *e, const struct restriction *r)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_MAX);
	if (r->row == NULL) {
		log_warning("unknown smtpd restriction: \"%.*s\"", STR_ARG(r->argument));
		return misconfigured(e);
	}
	if (!has_what_it_needs(e, r->row))
		return VERDICT_DUNNO;
	enum verdict verdict = r->row->check(e, r);
	if (verdict != VERDICT_REJECT || !r->warn_if_reject)
		return verdict;
	write_reply(e, &line);
	log_refusal(e, "reject_warning", buf_str(&line));
	return VERDICT_DUNNO;
}

enum verdict restriction_run_list(
    struct evaluation *e, const struct restriction_list *list)
{
	enum verdict verdict = VERDICT_DUNNO;
	if (++e->depth > RESTRICTION_NESTING)
		return misconfigured(e);
	for (size_t i = 0; verdict == VERDICT_DUNNO && i < list->count; i++)
		verdict = run_one(e, &list->items[i]);
	if (verdict == VERDICT_REJECT)
		soften(e);
	e->defer_if_reject = false;
	e->depth--;
	return verdict;
}

/* Tables named in a table's result would have to be opened inside the jail: not allowed.
 */
enum verdict restriction_run_text(struct evaluation *e, struct str text)
{
	struct str word;
	enum verdict verdict = VERDICT_DUNNO;
	if (++e->depth > RESTRICTION_NESTING)
		return misconfigured(e);
	while (verdict == VERDICT_DUNNO && str_next(&text, " \t\r\n,", &word)) {
		struct restriction r = restriction_named(word);
		if (r.row != NULL && r.row->has_table)
			r.row = NULL;
		verdict = run_one(e, &r);
	}
	e->depth--;
	return verdict;
}

/* --- what lists that ran early put off --- */

static void forget(struct session *s, size_t stage)
{
	struct refusal *kept = s->deferred[stage];
	if (kept == NULL)
		return;
	buf_free(&kept->text);
	free(kept);
	s->deferred[stage] = NULL;
}

void restriction_forget(struct session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->deferred); i++)
		forget(s, i);
}

static void keep_deferral(const struct evaluation *e)
{
	struct session *s = e->session;
	forget(s, e->stage);
	if (!e->defer_if_permit)
		return;
	struct refusal *kept = memory_alloc(sizeof(*kept));
	buf_init(&kept->text, REFUSAL_MAX);
	refuse_keep(kept, &e->deferred);
	s->deferred[e->stage] = kept;
}

/* The first of them counts, as within one evaluation. */
static void recall_deferral(struct evaluation *e)
{
	const struct session *s = e->session;
	for (size_t i = 0; !e->defer_if_permit && i < ARRAY_SIZE(s->deferred); i++) {
		if (s->deferred[i] == NULL)
			continue;
		e->defer_if_permit = true;
		refuse_keep(&e->deferred, s->deferred[i]);
	}
}

/* --- evaluations: who is refused is told --- */

static void evaluation_init(struct evaluation *e, struct session *s,
    enum restriction_stage stage, const struct str *recipient)
{
	*e = (struct evaluation){.session = s, .stage = stage, .recipient = recipient};
	buf_init(&e->refusal.text, REFUSAL_MAX);
	buf_init(&e->malformed, (size_t)2 * ADDRESS_MAX);
	buf_init(&e->deferred.text, REFUSAL_MAX);
	buf_init(&e->deferred_reject.text, REFUSAL_MAX);
}

static void evaluation_free(struct evaluation *e)
{
	buf_free(&e->refusal.text);
	buf_free(&e->malformed);
	buf_free(&e->deferred.text);
	buf_free(&e->deferred_reject.text);
}

/* What stands behind "RCPT TO:", as the parser of addresses logs it. VRFY's address is
 * written anew. */
static struct str malformed_path(const struct evaluation *e)
{
	const struct session *s = e->session;
	ptrdiff_t colon = str_find(buf_str(&s->line), ':');
	bool given = s->last_command != NULL && s->last_command->handle == command_rcpt;
	return given && colon >= 0 ? str_skip(buf_str(&s->line), (size_t)colon + 1)
				   : buf_str(&e->malformed);
}

static void tell(struct evaluation *e)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REPLY_MAX);
	write_reply(e, &line);
	if (e->malformed.len > 0)
		session_log_bad_address(e->session, "RCPT", malformed_path(e));
	else
		log_refusal(e, "reject", buf_str(&line));
	e->session->trouble |= (unsigned)e->refusal.class;
	session_error_text(e->session, buf_str(&line));
}

/* What was put off is said when nothing else was; lists that run early only keep it. */
static bool conclude(struct evaluation *e, enum verdict verdict)
{
	if (verdict != VERDICT_REJECT && e->stage > STAGE_SENDER && e->defer_if_permit)
		verdict = refuse(e, e->deferred.code, e->deferred.status, "%s",
		    buf_cstr(&e->deferred.text));
	if (verdict == VERDICT_REJECT)
		tell(e);
	evaluation_free(e);
	return verdict == VERDICT_REJECT;
}

bool restriction_refuses(
    struct session *s, enum restriction_stage stage, const struct str *recipient)
{
	struct evaluation e;
	if (service_stands_alone())
		return false;
	evaluation_init(&e, s, stage, recipient);
	enum verdict verdict = restriction_run_list(&e, smtpd.restrictions[stage]);
	if (stage <= STAGE_SENDER)
		keep_deferral(&e);
	return conclude(&e, verdict);
}

bool restriction_refuses_early(struct session *s, enum restriction_stage stage)
{
	return !smtpd.params.smtpd_delay_reject && restriction_refuses(s, stage, NULL);
}

/* Those of client, HELO and sender have run at their commands without smtpd_delay_reject.
 */
static enum verdict run_lists(
    struct evaluation *e, const enum restriction_stage *stages, size_t count)
{
	enum verdict verdict = VERDICT_DUNNO;
	recall_deferral(e);
	for (size_t i = 0; verdict != VERDICT_REJECT && i < count; i++) {
		if (stages[i] <= STAGE_SENDER && !smtpd.params.smtpd_delay_reject)
			continue;
		e->stage = stages[i];
		verdict = restriction_run_list(e, smtpd.restrictions[stages[i]]);
	}
	return verdict;
}

/* What an address class's tables do not know is refused, whatever a list said. */
static enum verdict check_unlisted(struct evaluation *e, enum verdict verdict)
{
	const struct smtpd_params *p = &smtpd.params;
	if (verdict != VERDICT_REJECT && p->smtpd_reject_unlisted_sender)
		verdict = restriction_run_list(e, smtpd.unlisted_sender);
	if (verdict != VERDICT_REJECT && p->smtpd_reject_unlisted_recipient &&
	    !smtpd.takes_unknown_recipients)
		verdict = restriction_run_list(e, smtpd.unlisted_recipient);
	return verdict;
}

bool restriction_refuses_recipient(struct session *s, struct str recipient)
{
	static const enum restriction_stage stages[] = {
	    STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY, STAGE_RECIPIENT};
	struct evaluation e;
	if (service_stands_alone() || recipient_is_probe_sender(recipient))
		return false;
	evaluation_init(&e, s, STAGE_RECIPIENT, &recipient);
	return conclude(
	    &e, check_unlisted(&e, run_lists(&e, stages, ARRAY_SIZE(stages))));
}

bool restriction_refuses_etrn(struct session *s, struct str domain)
{
	static const enum restriction_stage stages[] = {
	    STAGE_CLIENT, STAGE_HELO, STAGE_ETRN};
	struct evaluation e;
	if (service_stands_alone())
		return false;
	evaluation_init(&e, s, STAGE_ETRN, NULL);
	e.etrn = &domain;
	return conclude(&e, run_lists(&e, stages, ARRAY_SIZE(stages)));
}
