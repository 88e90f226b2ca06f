/* Restriction lists: compiled once, before the jail, and evaluated in the order that
 * Postfix documents. */
#include "smtpd/restriction.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "mail/reply.h"

#define LIST_MAX    1000
#define REFUSAL_MAX 4096

struct restriction_list {
	const char *title;
	struct restriction *items;
	size_t count;
};

static const struct restriction_row unknown_row;

static enum verdict run_class(struct evaluation *e, const struct restriction *r)
{
	return restriction_run_list(e, r->list);
}
static const struct restriction_row class_row = {
    "class", run_class, NEEDS_NOTHING, false, false};

/* smtpd_restriction_classes: lists with names of the administrator's own. */
struct restriction_class {
	struct str name;
	struct restriction_list *list;
};
#define CLASSES_MAX 200

static const struct restriction_class *find_class(struct str name)
{
	for (size_t i = 0; i < smtpd.class_count; i++)
		if (str_equal_nocase(smtpd.classes[i].name, name))
			return &smtpd.classes[i];
	return NULL;
}

static const struct restriction_row *find_in(
    const struct restriction_row *rows, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_is_nocase(name, rows[i].name))
			return &rows[i];
	return NULL;
}

static const struct restriction_row *find_row(struct str name)
{
	const struct restriction_row *row =
	    find_in(restriction_basic_rows, restriction_basic_count, name);
	if (row == NULL)
		row = find_in(restriction_access_rows, restriction_access_count, name);
	if (row == NULL)
		row = find_in(restriction_verify_rows, restriction_verify_count, name);
	return row;
}

/* A bare "type:table" means the access table of the list's own subject. */
static const char *implied_check(const char *title)
{
	static const struct {
		const char *part, *check;
	} implied[] = {
	    {"client", "check_client_access"},
	    {"helo", "check_helo_access"},
	    {"sender", "check_sender_access"},
	    {"etrn", "check_etrn_access"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(implied); i++)
		if (str_find_str(str_of(title), str_of(implied[i].part)) >= 0)
			return implied[i].check;
	return "check_recipient_access";
}

/* One word (and its table) of a list. What is not known is refused when it is reached. */
static void compile_word(
    struct restriction *r, struct str word, struct str *rest, const char *title)
{
	if (str_find(word, ':') >= 0 && find_row(word) == NULL) {
		r->argument = word;
		r->row = find_row(str_of(implied_check(title)));
	} else if (find_class(word) != NULL) {
		r->row = &class_row;
		r->list = find_class(word)->list;
	} else {
		r->row = find_row(word);
		if (r->row == NULL)
			r->row = &unknown_row;
		if (r->row == &unknown_row || !r->row->has_table)
			r->argument = word;
		else if (!str_next_braced(rest, " \t\r\n,", &r->argument))
			fatal("parameter %s: %.*s needs a table", title, STR_ARG(word));
	}
	if (r->row->has_table)
		r->table = table_open(r->argument, TABLE_FOLD);
}

static void compile_list(
    struct restriction_list *list, const char *title, const char *text)
{
	struct str rest = str_of(memory_copy_cstr(text)), word;
	bool warn = false;
	list->title = title;
	list->items = memory_alloc_array(LIST_MAX, sizeof(*list->items));
	while (str_next_braced(&rest, " \t\r\n,", &word)) {
		if (str_is_nocase(word, "warn_if_reject")) {
			warn = true;
			continue;
		}
		if (list->count == LIST_MAX)
			fatal("parameter %s: more than %d restrictions", title, LIST_MAX);
		struct restriction *r = &list->items[list->count++];
		compile_word(r, word, &rest, title);
		r->warn_if_reject = warn;
		warn = false;
	}
}

void restriction_compile_classes(void)
{
	struct str rest = str_of(smtpd.params.smtpd_restriction_classes), word;
	smtpd.classes = memory_alloc_array(CLASSES_MAX, sizeof(*smtpd.classes));
	/* All names first: a class may use another one. */
	while (str_next(&rest, " \t\r\n,", &word)) {
		if (smtpd.class_count == CLASSES_MAX)
			fatal("smtpd_restriction_classes: more than %d", CLASSES_MAX);
		smtpd.classes[smtpd.class_count++] = (struct restriction_class){
		    .name = word, .list = memory_alloc(sizeof(struct restriction_list))};
	}
	for (size_t i = 0; i < smtpd.class_count; i++) {
		struct restriction_class *c = &smtpd.classes[i];
		CLEANUP(buf_free) struct buf text = BUF_INIT(CONF_VALUE_MAX);
		CLEANUP(buf_free) struct buf name = BUF_INIT(256);
		buf_add_str(&name, c->name);
		const char *title = memory_copy_cstr(buf_cstr(&name));
		if (!conf_get(service_conf(), c->name, &text))
			log_warning(
			    "smtpd_restriction_classes: %s is not defined", title);
		compile_list(c->list, title, buf_cstr(&text));
	}
}

struct restriction_list *restriction_compile(const char *title, const char *text)
{
	struct restriction_list *list = memory_alloc(sizeof(*list));
	compile_list(list, title, text);
	return list;
}

/* Something that refuses relaying must stand in one of the lists, not behind a plain
 * permit. */
static bool controls_relay(const struct restriction_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *r = &list->items[i];
		if (r->row->controls_relay && !r->warn_if_reject)
			return true;
		if (str_is_nocase(str_of(r->row->name), "permit"))
			return false;
	}
	return false;
}

void restriction_require_relay_control(void)
{
	if (controls_relay(smtpd.restrictions[STAGE_RELAY]) ||
	    controls_relay(smtpd.restrictions[STAGE_RECIPIENT]))
		return;
	fatal(
	    "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at "
	    "least one working instance of: reject_unauth_destination, "
	    "defer_unauth_destination, reject, defer, defer_if_permit");
}

enum verdict refuse(
    struct evaluation *e, int64_t code, const char *status, const char *format, ...)
{
	va_list args;
	e->refusal.code = (int)code;
	if (!str_to_cstr(str_of(status), e->refusal.status, sizeof(e->refusal.status)))
		e->refusal.status[0] = '\0';
	e->refusal.class = NOTICE_POLICY;
	buf_clear(&e->refusal.text);
	buf_clear(&e->malformed);
	va_start(args, format);
	buf_vprintf(&e->refusal.text, format, args);
	va_end(args);
	return VERDICT_REJECT;
}

void refusal_keep(struct refusal *kept, const struct refusal *now)
{
	kept->code = now->code;
	memcpy(kept->status, now->status, sizeof(kept->status));
	buf_clear(&kept->text);
	buf_add_str(&kept->text, buf_str(&now->text));
}

void refuse_if_permit(struct evaluation *e)
{
	if (e->defer_if_permit)
		return;
	e->defer_if_permit = true;
	refusal_keep(&e->deferred, &e->refusal);
}

void refuse_subject(
    const struct evaluation *e, enum restriction_needs about, struct buf *out)
{
	const struct session *s = e->session;
	switch (about) {
	case NEEDS_HELO:
		buf_printf(out, "<%.*s>: Helo command rejected: ", STR_ARG(s->helo));
		break;
	case NEEDS_SENDER:
		buf_printf(out,
		    "<%.*s>: Sender address rejected: ", STR_ARG(s->transaction->sender));
		break;
	case NEEDS_RECIPIENT:
		buf_printf(
		    out, "<%.*s>: Recipient address rejected: ", STR_ARG(*e->recipient));
		break;
	case NEEDS_ETRN:
		buf_printf(out, "<%.*s>: Etrn command rejected: ", STR_ARG(*e->etrn));
		break;
	case NEEDS_NOTHING:
		buf_printf(
		    out, "<%.*s>: Client host rejected: ", STR_ARG(s->client_text));
		break;
	}
}

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

static void log_refusal(const struct evaluation *e, const char *action)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	reply_write(&line, e->refusal.code, e->refusal.status, buf_str(&e->refusal.text));
	session_log_action(
	    e->session, action, restriction_stage_word(e), buf_str(&line), e->recipient);
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
	if (r->row == &unknown_row) {
		log_warning("unknown smtpd restriction: \"%.*s\"", STR_ARG(r->argument));
		return misconfigured(e);
	}
	if (!has_what_it_needs(e, r->row))
		return VERDICT_DUNNO;
	enum verdict verdict = r->row->check(e, r);
	if (verdict != VERDICT_REJECT || !r->warn_if_reject)
		return verdict;
	log_refusal(e, "reject_warning");
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
	if (++e->depth > RESTRICTION_NESTING)
		return misconfigured(e);
	while (str_next(&text, " \t\r\n,", &word)) {
		const struct restriction_row *row = find_row(word);
		struct restriction r = {.row = row, .argument = word};
		const struct restriction_class *class = find_class(word);
		if (class != NULL) {
			r.row = &class_row;
			r.list = class->list;
		} else if (row == NULL || row->has_table) {
			r.row = &unknown_row;
		}
		enum verdict verdict = run_one(e, &r);
		if (verdict != VERDICT_DUNNO)
			return verdict;
	}
	e->depth--;
	return VERDICT_DUNNO;
}

static void evaluation_init(struct evaluation *e, struct session *s,
    enum restriction_stage stage, const struct str *recipient)
{
	*e = (struct evaluation){.session = s, .stage = stage, .recipient = recipient};
	buf_init(&e->refusal.text, REFUSAL_MAX);
	buf_init(&e->malformed, (size_t)2 * ADDRESS_MAX);
	buf_init(&e->deferred.text, REFUSAL_MAX);
	buf_init(&e->deferred_reject.text, REFUSAL_MAX);
}

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

static void keep_deferral(struct session *s, size_t stage, const struct evaluation *e)
{
	forget(s, stage);
	if (!e->defer_if_permit)
		return;
	s->deferred[stage] = memory_alloc(sizeof(**s->deferred));
	buf_init(&s->deferred[stage]->text, REFUSAL_MAX);
	refusal_keep(s->deferred[stage], &e->deferred);
}

/* The first of them counts, as within one evaluation. */
static void recall_deferral(struct evaluation *e)
{
	const struct session *s = e->session;
	for (size_t i = 0; !e->defer_if_permit && i < ARRAY_SIZE(s->deferred); i++) {
		if (s->deferred[i] == NULL)
			continue;
		e->defer_if_permit = true;
		refusal_keep(&e->deferred, s->deferred[i]);
	}
}

static void evaluation_free(struct evaluation *e)
{
	buf_free(&e->refusal.text);
	buf_free(&e->malformed);
	buf_free(&e->deferred.text);
	buf_free(&e->deferred_reject.text);
}

static enum verdict conclude(
    struct evaluation *e, enum verdict verdict, struct buf *reply)
{
	if (verdict != VERDICT_REJECT)
		return verdict;
	if (e->malformed.len > 0)
		session_log_bad_address(e->session, "RCPT", buf_str(&e->malformed));
	else
		log_refusal(e, "reject");
	e->session->trouble |= (unsigned)e->refusal.class;
	reply_write(reply, e->refusal.code, e->refusal.status, buf_str(&e->refusal.text));
	return VERDICT_REJECT;
}

static enum verdict check_deferred(struct evaluation *e)
{
	if (!e->defer_if_permit)
		return VERDICT_DUNNO;
	return refuse(
	    e, e->deferred.code, e->deferred.status, "%s", buf_cstr(&e->deferred.text));
}

enum verdict restriction_run(struct session *s, enum restriction_stage stage,
    const struct str *recipient, struct buf *reply)
{
	struct evaluation e;
	if (service_stands_alone())
		return VERDICT_DUNNO;
	evaluation_init(&e, s, stage, recipient);
	enum verdict verdict = restriction_run_list(&e, smtpd.restrictions[stage]);
	if (stage <= STAGE_SENDER)
		keep_deferral(s, stage, &e);
	else if (verdict != VERDICT_REJECT)
		verdict = check_deferred(&e);
	verdict = conclude(&e, verdict, reply);
	evaluation_free(&e);
	return verdict;
}

/* What an address class's tables do not know is refused, whatever a list said. */
static enum verdict check_unlisted(struct evaluation *e, bool wanted, const char *name)
{
	const struct restriction_row *row = wanted ? find_row(str_of(name)) : NULL;
	if (row == NULL || !has_what_it_needs(e, row))
		return VERDICT_DUNNO;
	return row->check(e, &(struct restriction){.row = row});
}

bool restriction_refuses_early(struct session *s, enum restriction_stage stage)
{
	CLEANUP(buf_free) struct buf reply = BUF_INIT(4096);
	if (smtpd.params.smtpd_delay_reject ||
	    restriction_run(s, stage, NULL, &reply) != VERDICT_REJECT)
		return false;
	session_error_text(s, buf_str(&reply));
	return true;
}

bool restriction_check_recipient(
    struct session *s, struct str recipient, struct buf *reply)
{
	static const enum restriction_stage order[] = {
	    STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY, STAGE_RECIPIENT};
	struct evaluation e;
	enum verdict verdict = VERDICT_DUNNO;
	if (service_stands_alone() || recipient_is_probe_sender(recipient))
		return true;
	evaluation_init(&e, s, STAGE_RECIPIENT, &recipient);
	recall_deferral(&e);
	size_t first = smtpd.params.smtpd_delay_reject ? 0 : 3; /* done already */
	for (size_t i = first; verdict != VERDICT_REJECT && i < ARRAY_SIZE(order); i++) {
		e.stage = order[i];
		verdict = restriction_run_list(&e, smtpd.restrictions[order[i]]);
	}
	if (verdict != VERDICT_REJECT)
		verdict = check_unlisted(&e, smtpd.params.smtpd_reject_unlisted_sender,
		    "reject_unlisted_sender");
	if (verdict != VERDICT_REJECT)
		verdict = check_unlisted(&e,
		    smtpd.params.smtpd_reject_unlisted_recipient &&
			!smtpd.takes_unknown_recipients,
		    "reject_unlisted_recipient");
	if (verdict != VERDICT_REJECT)
		verdict = check_deferred(&e);
	verdict = conclude(&e, verdict, reply);
	evaluation_free(&e);
	return verdict != VERDICT_REJECT;
}

bool restriction_check_etrn(struct session *s, struct str domain, struct buf *reply)
{
	static const enum restriction_stage order[] = {
	    STAGE_CLIENT, STAGE_HELO, STAGE_ETRN};
	struct evaluation e;
	enum verdict verdict = VERDICT_DUNNO;
	if (service_stands_alone())
		return true;
	evaluation_init(&e, s, STAGE_ETRN, NULL);
	recall_deferral(&e);
	e.etrn = &domain;
	size_t first = smtpd.params.smtpd_delay_reject ? 0 : 2; /* done already */
	for (size_t i = first; verdict != VERDICT_REJECT && i < ARRAY_SIZE(order); i++) {
		e.stage = order[i];
		verdict = restriction_run_list(&e, smtpd.restrictions[order[i]]);
	}
	if (verdict != VERDICT_REJECT)
		verdict = check_deferred(&e);
	verdict = conclude(&e, verdict, reply);
	evaluation_free(&e);
	return verdict != VERDICT_REJECT;
}
