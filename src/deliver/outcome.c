#include "deliver/outcome.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/flush_client.h"
#include "client/service_client.h"
#include "client/verify_client.h"
#include "mail/log_lines.h"
#include "table/match_list.h"

static struct {
	const struct common_params *common;
	uid_t owner;
	struct ipc_client *flush, *verify;
	struct match_list *flush_domains;
} environment;

void delivery_before_jail(const struct common_params *common)
{
	environment.flush_domains = match_list_open_domains("fast_flush_domains",
	    common->fast_flush_domains, common->parent_domain_matches_subdomains);
}

void delivery_open(const struct common_params *common, uid_t queue_owner)
{
	environment.common = common;
	environment.owner = queue_owner;
	outcome_log_open(common);
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

/* Reports are extra: what became of the mail does not depend on them. */
static void append_trace(
    const struct delivery *d, enum delivery_result result, const char *action)
{
	int error = outcome_log_trace(d, result, action);
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
	if (outcome_log_owner(d, index) == 0)
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
	return outcome_log_trace(d, o->result, o->action);
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
	if (outcome_log_failed(d) != 0)
		becomes_deferral(d, DELIVERY_BOUNCED);
	int error = outcome_log_delayed(d);
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
		if (d->recipients[i].result == DELIVERY_DIVIDED &&
		    !delivery_is_left(d, i))
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
