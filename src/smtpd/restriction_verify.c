/* Restrictions that ask verify whether an address can be delivered to. The answer may be
 * a probe away: the session waits, and its process serves others meanwhile. */
#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "client/service_client.h"
#include "client/verify_client.h"
#include "run/fiber.h"
#include "smtpd/restriction.h"

#define REASON_SHOWN 250 /* bytes of it in a refusal */

/* What the two restrictions differ in; parameters are read at each (${stress?...}). */
struct subject {
	enum restriction_needs about;
	char status[DSN_STATUS_MAX]; /* of a refusal for good */
	const int64_t *reject_code, *defer_code;
	const char *const *reason; /* for the client, not the agent's; "": that */
	const char *action_name;
	const char *const *action; /* when it is not known: "defer", "defer_if_permit" */
};
static const struct subject sender = {
    .about = NEEDS_SENDER,
    .status = "5.1.7",
    .reject_code = &smtpd.params.unverified_sender_reject_code,
    .defer_code = &smtpd.params.unverified_sender_defer_code,
    .reason = &smtpd.params.unverified_sender_reject_reason,
    .action_name = "unverified_sender_tempfail_action",
    .action = &smtpd.params.unverified_sender_tempfail_action,
};
static const struct subject recipient = {
    .about = NEEDS_RECIPIENT,
    .status = "5.1.1",
    .reject_code = &smtpd.params.unverified_recipient_reject_code,
    .defer_code = &smtpd.params.unverified_recipient_defer_code,
    .reason = &smtpd.params.unverified_recipient_reject_reason,
    .action_name = "unverified_recipient_tempfail_action",
    .action = &smtpd.params.unverified_recipient_tempfail_action,
};

static bool defers_at_once(const struct subject *s)
{
	if (str_is_nocase(str_of(*s->action), "defer"))
		return true;
	if (!str_is_nocase(str_of(*s->action), "defer_if_permit"))
		fatal("bad configuration: %s = %s", s->action_name, *s->action);
	return false;
}

void restriction_check_verify_actions(void)
{
	(void)defers_at_once(&sender);
	(void)defers_at_once(&recipient);
}

/* Asks until something is known, at most address_verify_poll_count times. */
static enum verify_status ask(struct str address, struct buf *text)
{
	const struct smtpd_params *p = &smtpd.params;
	enum verify_status status = VERIFY_UNKNOWN;
	for (int64_t count = 1;; count++) {
		buf_clear(text);
		int error = verify_client_query(smtpd.verify, address,
		    service_client_deadline(service_common()), &status, text);
		if (error != 0) {
			log_warning("%s service: %s",
			    service_common()->address_verify_service_name,
			    strerror(-error));
			buf_add_cstr(text, "Address verification problem");
			return VERIFY_UNKNOWN;
		}
		if (status != VERIFY_UNKNOWN || count >= p->address_verify_poll_count)
			return status;
		fiber_sleep_ms(p->address_verify_poll_delay * 1000);
	}
}

static void refuse_unverified(
    struct evaluation *e, const struct subject *s, int64_t code, struct str text)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(REFUSAL_MAX);
	char status[DSN_STATUS_MAX];
	memcpy(status, s->status, sizeof(status));
	status[0] = code < 500 ? '4' : '5';
	refuse_subject(e, s->about, &line);
	buf_add_cstr(
	    &line, code < 500 ? "unverified address: " : "undeliverable address: ");
	if ((*s->reason)[0] != '\0')
		text = str_of(*s->reason);
	buf_add_str(&line, str_slice(text, 0, REASON_SHOWN));
	(void)refuse(e, code, status, "%s", buf_cstr(&line));
}

/* The null sender exists always. */
static enum verdict check(struct evaluation *e, const struct restriction *r,
    const struct subject *s, struct str address)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(WHY_TEXT_MAX);
	if (address.len == 0)
		return VERDICT_DUNNO;
	enum verify_status status = ask(address, &text);
	if (status == VERIFY_DELIVERABLE)
		return VERDICT_DUNNO;
	refuse_unverified(e, s,
	    status == VERIFY_UNDELIVERABLE ? *s->reject_code : *s->defer_code,
	    buf_str(&text));
	if (status == VERIFY_UNDELIVERABLE || defers_at_once(s) || r->warn_if_reject)
		return VERDICT_REJECT;
	refuse_if_permit(e);
	return VERDICT_DUNNO;
}

static enum verdict reject_unverified_sender(
    struct evaluation *e, const struct restriction *r)
{
	return check(e, r, &sender, e->session->transaction->sender);
}

static enum verdict reject_unverified_recipient(
    struct evaluation *e, const struct restriction *r)
{
	return check(e, r, &recipient, *e->recipient);
}

const struct restriction_row restriction_verify_rows[] = {
    {"reject_unverified_sender", reject_unverified_sender, NEEDS_SENDER, false, false},
    {"reject_unverified_recipient", reject_unverified_recipient, NEEDS_RECIPIENT, false,
	false},
};
const size_t restriction_verify_count = ARRAY_SIZE(restriction_verify_rows);
