/* RCPT (RFC 5321 4.1.1.3) with NOTIFY and ORCPT (RFC 3461). */

#include "base/log.h"
#include "smtpd/smtpd.h"

/* Longer than RFC 3461 4.2 allows: Postfix takes what fits its line. */
#define PARAMETER_MAX    1000
#define FIRST_RECIPIENTS 4

static bool parameter_notify(
    struct session *s, struct cleanup_recipient *r, struct str value)
{
	if (r->notify != 0 || !dsn_notify_parse(value, &r->notify))
		return command_refuse(
		    s, 501, "5.5.4", "Error: Bad NOTIFY parameter syntax");
	return true;
}

static bool parameter_orcpt(
    struct session *s, struct cleanup_recipient *r, struct str value)
{
	CLEANUP(buf_free) struct buf decoded = BUF_INIT(PARAMETER_MAX);
	if (r->dsn_orcpt.len > 0 || value.len > PARAMETER_MAX ||
	    !dsn_orcpt_parse(value, &decoded) || str_has_control(buf_str(&decoded)))
		return command_refuse(
		    s, 501, "5.5.4", "Error: Bad ORCPT parameter syntax");
	r->dsn_orcpt = arena_str(s->transaction->arena, buf_str(&decoded));
	return true;
}

static bool parse_parameter(
    struct session *s, struct cleanup_recipient *r, struct str name, struct str value)
{
	if (value.p != NULL && str_is_nocase(name, "NOTIFY"))
		return parameter_notify(s, r, value);
	if (value.p != NULL && str_is_nocase(name, "ORCPT"))
		return parameter_orcpt(s, r, value);
	return command_refuse_option(s, name, value);
}

/* Who said no ORCPT said the path, spelt as it is (RFC 3461 4.2). Where that is what
 * cleanup makes of the address, nothing is kept. */
static void note_spelling(
    struct transaction *t, struct cleanup_recipient *r, struct str path)
{
	path = str_trim(path);
	if (path.len >= 2 && path.p[0] == '<' && path.p[path.len - 1] == '>')
		path = str_slice(path, 1, path.len - 1);
	if (r->dsn_orcpt.len > 0 || str_equal(path, r->address) ||
	    path.len > PARAMETER_MAX || str_has_control(path))
		return;
	const char *said = arena_printf(t->arena, "rfc822;%.*s", STR_ARG(path));
	if (said != NULL)
		r->dsn_orcpt = str_of(said);
}

static bool parse(struct session *s, struct cleanup_recipient *r, struct str arguments)
{
	struct transaction *t = s->transaction;
	if (!str_starts_nocase(arguments, STR("TO:")) || arguments.len == 3)
		return command_refuse(s, 501, "5.5.4", "Syntax: RCPT TO:<address>");
	struct address_path_rules rules = {.strict = smtpd.params.strict_rfc821_envelopes,
	    .utf8_ok = true,
	    .null_domain_ok = smtpd.params.resolve_null_domain,
	    .numeric_domain_ok = smtpd.params.resolve_numeric_domain};
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX);
	struct str text = str_skip(arguments, 3), rest = STR_EMPTY, name, value;
	if (!address_path_parse(text, rules, &address, &rest)) {
		session_log_bad_address(s, "RCPT", text);
		return command_refuse(s, 501, "5.1.3", "Bad recipient address syntax");
	}
	r->address = arena_str(t->arena, buf_str(&address));
	struct str path = str_slice(text, 0, text.len - rest.len);
	while (smtp_parameter_next(&rest, &name, &value))
		if (!parse_parameter(s, r, name, value))
			return false;
	note_spelling(t, r, path);
	return r->address.p != NULL ||
	    command_refuse(s, 452, "4.5.3", "Error: too many recipients");
}

/* Beyond the limit a client is told 452, and, when it goes on, counted as a nuisance. */
static bool has_room(struct session *s)
{
	struct transaction *t = s->transaction;
	if (t->count < (uint32_t)smtpd.params.smtpd_recipient_limit)
		return true;
	session_reply(s, 452, "4.5.3", STR("Error: too many recipients"));
	s->command_failed = true;
	if (++t->overshoot > (uint32_t)smtpd.params.smtpd_recipient_overshoot_limit)
		s->errors++;
	return false;
}

/* The queue id exists from the first accepted recipient on. */
static bool have_queue_id(struct session *s)
{
	struct transaction *t = s->transaction;
	int error;
	if (t->message != NULL)
		return true;
	t->message = submission_new(&error);
	if (t->message == NULL) {
		log_warning("cannot get a queue id: %s", strerror(-error));
		session_refuse(
		    s, NOTICE_RESOURCE, 451, "4.3.0", "Error: queue file write error");
		return false;
	}
	CLEANUP(buf_free) struct buf more = BUF_INIT(2048);
	origin_describe(s, &more);
	log_info("%s: client=%.*s%s", submission_id(t->message), STR_ARG(s->client_text),
	    buf_cstr(&more));
	return true;
}

/* Most messages have one recipient. What they outgrow stays in the arena: as much again
 * at most. Behind the client's own there is always room for BCC_MAX more. */
static bool make_room(struct transaction *t)
{
	if (t->count + BCC_MAX < t->room)
		return true;
	uint32_t room = t->room == 0 ? FIRST_RECIPIENTS + BCC_MAX : t->room * 2;
	struct cleanup_recipient *larger =
	    arena_alloc_array(t->arena, room, sizeof(*larger));
	if (larger == NULL)
		return false;
	if (t->count > 0)
		memcpy(larger, t->recipients, t->count * sizeof(*larger));
	t->recipients = larger;
	t->room = room;
	return true;
}

static bool add(struct session *s, const struct cleanup_recipient *r)
{
	struct transaction *t = s->transaction;
	if (!make_room(t))
		return command_refuse(s, 452, "4.5.3", "Error: too many recipients");
	t->recipients[t->count++] = *r;
	return true;
}

void command_rcpt(struct session *s, struct str arguments)
{
	if (s->transaction == NULL) {
		session_error(s, 503, "5.5.1", "Error: need MAIL command");
		return;
	}
	struct cleanup_recipient r = {.notify = 0};
	if (!has_room(s) || !parse(s, &r, arguments) ||
	    !session_takes_address(s, r.address, s->transaction->smtputf8, "recipient"))
		return;
	if (restriction_refuses_recipient(s, r.address)) {
		s->transaction->refused++;
		return;
	}
	if (have_queue_id(s) && add(s, &r))
		session_reply(s, 250, "2.1.5", STR("Ok"));
}
