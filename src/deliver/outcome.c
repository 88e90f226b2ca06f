#include "deliver/outcome.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/bounce_client.h"
#include "client/flush_client.h"
#include "client/service_client.h"
#include "client/verify_client.h"
#include "mail/log_lines.h"
#include "table/match_list.h"

static struct {
	const struct common_params *common;
	uid_t owner;
	struct ipc_client *bounce, *defer, *trace, *flush, *verify;
	struct match_list *flush_domains;
} environment;

static unsigned parents_match(const struct common_params *common, const char *list)
{
	struct str names = str_of(common->parent_domain_matches_subdomains), name;
	while (str_next(&names, " \t\r\n,", &name))
		if (str_is(name, list))
			return MATCH_PARENTS;
	return 0;
}

void delivery_before_jail(const struct common_params *common)
{
	environment.flush_domains =
	    match_list_open("fast_flush_domains", common->fast_flush_domains,
		MATCH_DOMAINS, parents_match(common, "fast_flush_domains"));
}

void delivery_open(const struct common_params *common, uid_t queue_owner)
{
	environment.common = common;
	environment.owner = queue_owner;
	environment.bounce =
	    service_client_new(common, SERVICE_PRIVATE, common->bounce_service_name);
	environment.defer =
	    service_client_new(common, SERVICE_PRIVATE, common->defer_service_name);
	environment.trace =
	    service_client_new(common, SERVICE_PRIVATE, common->trace_service_name);
	environment.flush =
	    service_client_new(common, SERVICE_PUBLIC, common->flush_service_name);
	environment.verify = service_client_new(
	    common, SERVICE_PRIVATE, common->address_verify_service_name);
	log_delays_digits((int)common->delay_logging_resolution_limit);
	address_log_format(strcmp(common->info_log_address_format, "external") == 0);
}

bool outcome_soft_bounce(void)
{
	return environment.common->soft_bounce;
}

uid_t outcome_queue_owner(void)
{
	return environment.owner;
}

int64_t outcome_wall_microseconds(void)
{
	struct timeval now = clock_wall();
	return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

static int64_t not_negative(int64_t value)
{
	return value > 0 ? value : 0;
}

static void log_result(const struct delivery *d, size_t index, struct log_delivery line)
{
	const struct delivery_request *r = &d->request;
	int64_t now = outcome_wall_microseconds();
	int64_t connected = d->connected != 0 ? d->connected : d->started;
	line.queue_id = r->id;
	line.recipient = d->recipients[index].request->address;
	line.original = d->recipients[index].request->original;
	if (line.relay.len == 0)
		line.relay = str_of(d->relay);
	line.delays = (struct log_delays){
	    .before_qmgr = not_negative(r->active - r->arrival),
	    .in_qmgr = not_negative(d->started - r->active),
	    .setup = not_negative(connected - d->started),
	    .transmission = not_negative(now - connected),
	};
	log_delivery(&line);
}

static void mark_done(struct delivery *d, size_t index)
{
	const struct delivery_recipient *r = d->recipients[index].request;
	if (d->request.flags & DELIVERY_PART)
		return;
	int error = queue_file_mark_done(&d->file, r->offset);
	if (error != 0)
		log_warning("%.*s: cannot mark recipient at offset %lld as done: %s",
		    STR_ARG(d->request.id), (long long)r->offset, strerror(-error));
}

static bool is_probe(const struct delivery *d)
{
	return (d->request.flags & DELIVERY_VERIFY) != 0;
}

bool outcome_is_traced(const struct delivery *d, size_t index)
{
	const unsigned all = DELIVERY_VERIFY | DELIVERY_TRACE | DELIVERY_DELAY_CLEARED;
	bool asked = (d->recipients[index].request->notify & DSN_NOTIFY_SUCCESS) != 0;
	return (d->request.flags & all) != 0 || (asked && !d->passes_notify);
}

/* What verify does not keep. */
static bool is_forgotten(const struct delivery *d)
{
	return (d->request.flags & DELIVERY_TELL_VERIFY) != 0 &&
	    !environment.common->address_verify_negative_cache;
}

static const char *word_of(const struct delivery *d, size_t index)
{
	const struct delivery_rcpt *rcpt = &d->recipients[index];
	if (is_probe(d) && !rcpt->untold)
		return rcpt->result == DELIVERY_SENT ? "deliverable"
		    : is_forgotten(d)                ? "undeliverable-but-not-cached"
						     : "undeliverable";
	switch (rcpt->result) {
	case DELIVERY_SENT:
		return "sent";
	case DELIVERY_BOUNCED:
		return "bounced";
	case DELIVERY_PENDING:
	case DELIVERY_DEFERRED:
	case DELIVERY_DIVIDED:
	case DELIVERY_EXPANDED:
	case DELIVERY_PASSED:
		break;
	}
	return rcpt->failure.soft ? "SOFTBOUNCE" : "deferred";
}

static void log_outcome(const struct delivery *d, size_t index)
{
	const struct delivery_failure *f = &d->recipients[index].failure;
	log_result(d, index,
	    (struct log_delivery){.relay = f->relay,
		.reused = f->reused,
		.status = f->status,
		.word = word_of(d, index),
		.text = f->text});
}

void outcome_done(struct delivery *d, size_t index)
{
	log_outcome(d, index);
	if (!d->recipients[index].part)
		mark_done(d, index);
}

/* A log that entries go to: which outcomes, and what they are called there. */
struct destination_log {
	struct ipc_client *service;
	enum delivery_result result;
	const char *action;
	bool is_trace;
};

/* RFC 3461 4.1: a failure is not reported when NOTIFY was given without FAILURE. */
static bool is_silent(const struct destination_log *l, const struct delivery_recipient *r)
{
	return !l->is_trace && l->result == DELIVERY_BOUNCED && r->notify != 0 &&
	    (r->notify & DSN_NOTIFY_FAILURE) == 0;
}

/* Reports say by which way it went: "delivery via local: delivered to mailbox". */
static struct str reason_of(const struct delivery *d, const struct destination_log *l,
    const struct delivery_failure *f)
{
	struct str relay = f->relay.len > 0 ? f->relay : str_of(d->relay);
	if (!l->is_trace || str_is(relay, "none"))
		return f->text;
	const char *text = arena_printf(
	    d->arena, "delivery via %.*s: %.*s", STR_ARG(relay), STR_ARG(f->text));
	return text != NULL ? str_slice(str_of(text), 0, WHY_TEXT_MAX) : f->text;
}

static void fill_entry(const struct delivery *d, size_t index,
    const struct destination_log *l, struct bounce_add_entry *e)
{
	const struct delivery_failure *f = &d->recipients[index].failure;
	const struct delivery_recipient *r = d->recipients[index].request;
	const char *action = d->recipients[index].action;
	*e = (struct bounce_add_entry){
	    .id = d->request.id,
	    .offset = r->offset,
	    .recipient = r->address,
	    .original = r->original,
	    .dsn_orcpt = r->dsn_orcpt,
	    .notify = r->notify,
	    .status = f->status,
	    .action = str_of(action != NULL ? action : l->action),
	    .reason = reason_of(d, l, f),
	    .diag_type = f->diag_type,
	    .diag_text = str_slice(f->diag_text, 0, WHY_TEXT_MAX),
	    .mta_name = f->mta_name,
	};
}

/* Parts have their recipient's offset. One that waits makes the whole wait. */
static bool has_part_left(const struct delivery *d, int64_t offset)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].part && d->recipients[i].request->offset == offset &&
		    d->recipients[i].result == DELIVERY_DEFERRED)
			return true;
	return false;
}

static bool belongs(
    const struct delivery *d, size_t index, const struct destination_log *l)
{
	const struct delivery_rcpt *rcpt = &d->recipients[index];
	if (rcpt->result != l->result || is_silent(l, rcpt->request))
		return false;
	if (rcpt->owned && l->service == environment.bounce)
		return false; /* outcome_tell_owner did */
	/* Of what is tried again it is told then. */
	if (rcpt->result == DELIVERY_EXPANDED && has_part_left(d, rcpt->request->offset))
		return false;
	return l->result != DELIVERY_SENT || outcome_is_traced(d, index);
}

/* One append for all of one outcome. 0, or why the log could not take them. */
static int append(const struct delivery *d, const struct destination_log *l)
{
	struct bounce_append entries = {
	    .entries = arena_alloc_array(d->arena, d->count, sizeof(*entries.entries))};
	if (entries.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++)
		if (belongs(d, i, l))
			fill_entry(d, i, l, &entries.entries[entries.entries_count++]);
	return entries.entries_count > 0 ? bounce_client_append(l->service, &entries) : 0;
}

/* Each failure of a list's member is a notice of its own, as in Postfix; the postmaster
 * may hear of it where the sender does not want to. 0 or -errno. */
static int tell_owner(const struct delivery *d, size_t index)
{
	const struct destination_log l = {
	    environment.bounce, DELIVERY_BOUNCED, "failed", false};
	const struct delivery_request *r = &d->request;
	struct bounce_add_entry entry;
	fill_entry(d, index, &l, &entry);
	return bounce_client_one(environment.bounce,
	    &(struct bounce_one){.entries = &entry,
		.entries_count = 1,
		.queue = r->queue,
		.owner = d->recipients[index].sender,
		.sender = r->sender,
		.sendopts = r->sendopts,
		.encoding = r->encoding});
}

/* Reports are extra: what became of the mail does not depend on them. */
static void append_trace(
    const struct delivery *d, enum delivery_result result, const char *action)
{
	int error =
	    append(d, &(struct destination_log){environment.trace, result, action, true});
	if (error != 0)
		log_warning("%.*s: trace service failure: %s", STR_ARG(d->request.id),
		    strerror(-error));
}

/* A recipient whose failure could not be recorded stays in the queue. */
static void defer_untold(struct delivery_rcpt *rcpt)
{
	rcpt->result = DELIVERY_DEFERRED;
	rcpt->untold = true;
	rcpt->failure.status = STR("4.3.0");
	rcpt->failure.text = STR("bounce or trace service failure");
}

static void becomes_deferral(struct delivery *d, enum delivery_result result)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == result &&
		    (is_probe(d) || !d->recipients[i].owned))
			defer_untold(&d->recipients[i]);
}

void outcome_tell_owner(struct delivery *d, size_t index)
{
	if (is_probe(d))
		return;
	if (tell_owner(d, index) == 0)
		outcome_done(d, index);
	else
		defer_untold(&d->recipients[index]);
}

/* What can come of a probe: what the report calls it, and what verify does. */
static const struct probe_outcome {
	enum delivery_result result;
	const char *action;
	enum verify_status status;
} probe_outcomes[] = {
    {DELIVERY_SENT, "deliverable", VERIFY_DELIVERABLE},
    {DELIVERY_BOUNCED, "undeliverable", VERIFY_UNDELIVERABLE},
    {DELIVERY_DEFERRED, "undeliverable", VERIFY_TRY_LATER},
};

/* The address that verify asked about: as it was before anything was mapped. */
static struct str asked_address(const struct delivery_recipient *r)
{
	ptrdiff_t type_end = str_find(r->dsn_orcpt, ';');
	if (r->original.len > 0)
		return r->original;
	return type_end > 0 ? str_skip(r->dsn_orcpt, (size_t)type_end + 1) : r->address;
}

static int tell_of(struct str address, const struct probe_outcome *o, struct str text)
{
	struct verify_update update = {.address = address,
	    .status = (uint8_t)o->status,
	    .text = str_slice(text, 0, WHY_TEXT_MAX)};
	return verify_client_update(
	    environment.verify, &update, service_client_deadline(environment.common));
}

/* What it was mapped to is known then, too. */
static int tell_verify(const struct delivery *d, const struct probe_outcome *o)
{
	int error = 0;
	for (size_t i = 0; error == 0 && i < d->count; i++) {
		const struct delivery_rcpt *rcpt = &d->recipients[i];
		struct str address = rcpt->request->address;
		struct str asked = asked_address(rcpt->request);
		if (rcpt->result != o->result)
			continue;
		error = tell_of(asked, o, rcpt->failure.text);
		if (error == 0 && !str_equal(address, asked) && !rcpt->part)
			error = tell_of(address, o, rcpt->failure.text);
	}
	return error;
}

static int report_probe(const struct delivery *d, const struct probe_outcome *o)
{
	if (d->request.flags & DELIVERY_TELL_VERIFY)
		return tell_verify(d, o);
	return append(
	    d, &(struct destination_log){environment.trace, o->result, o->action, true});
}

/* What a probe found out is its report; it is never tried again. */
static void finish_probe(struct delivery *d)
{
	int error = 0;
	for (size_t i = 0; error == 0 && i < ARRAY_SIZE(probe_outcomes); i++)
		error = report_probe(d, &probe_outcomes[i]);
	for (size_t i = 0; error != 0 && i < ARRAY_SIZE(probe_outcomes); i++)
		becomes_deferral(d, probe_outcomes[i].result);
	for (size_t i = 0; i < d->count; i++) {
		if (d->recipients[i].result == DELIVERY_PASSED ||
		    d->recipients[i].result == DELIVERY_EXPANDED)
			continue;
		if (d->recipients[i].result != DELIVERY_DIVIDED)
			log_outcome(d, i);
		if (error != 0)
			continue;
		if (!d->recipients[i].part)
			mark_done(d, i);
		d->recipients[i].result = DELIVERY_SENT;
	}
}

/* Lets a later "deliver what waits for this site" find the message. */
static void note_for_flush(const struct delivery *d)
{
	struct str before = STR_EMPTY;
	for (size_t i = 0; i < d->count; i++) {
		struct str domain =
		    address_split(d->recipients[i].request->address).domain;
		if (d->recipients[i].result != DELIVERY_DEFERRED || domain.p == NULL ||
		    str_equal_nocase(domain, before))
			continue;
		before = domain;
		if (environment.flush_domains != NULL &&
		    match_list_string(environment.flush_domains, domain) == TABLE_FOUND)
			flush_client_note(environment.flush, domain, d->request.id);
	}
}

static void finish_sent(struct delivery *d)
{
	const char *usual = d->peer.len > 0 ? "relayed" : "delivered";
	append_trace(d, DELIVERY_EXPANDED, "expanded");
	append_trace(d, DELIVERY_SENT, d->success != NULL ? d->success : usual);
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_SENT && outcome_is_traced(d, i))
			outcome_done(d, i);
}

static void finish_failed(struct delivery *d)
{
	bool traced = (d->request.flags & DELIVERY_TRACE) != 0;
	if (append(d,
		&(struct destination_log){
		    environment.bounce, DELIVERY_BOUNCED, "failed", false}) != 0)
		becomes_deferral(d, DELIVERY_BOUNCED);
	int error = append(d,
	    &(struct destination_log){
		environment.defer, DELIVERY_DEFERRED, "delayed", false});
	if (error != 0)
		log_warning("%.*s: defer service failure: %s", STR_ARG(d->request.id),
		    strerror(-error));
	if (traced) {
		append_trace(d, DELIVERY_BOUNCED, "failed");
		append_trace(d, DELIVERY_DEFERRED, "delayed");
	}
	for (size_t i = 0; i < d->count; i++) {
		if (d->recipients[i].result == DELIVERY_BOUNCED &&
		    !d->recipients[i].owned)
			outcome_done(d, i);
		else if (d->recipients[i].result == DELIVERY_DEFERRED)
			log_outcome(d, i);
	}
}

static void finish_divided(struct delivery *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->recipients[i].result == DELIVERY_DIVIDED && !d->passed_left &&
		    !has_part_left(d, d->recipients[i].request->offset))
			mark_done(d, i);
}

void outcome_finish(struct delivery *d)
{
	if (is_probe(d)) {
		finish_probe(d);
		return;
	}
	finish_sent(d);
	finish_failed(d);
	finish_divided(d);
	note_for_flush(d);
}
