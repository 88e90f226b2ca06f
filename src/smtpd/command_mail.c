/* MAIL (RFC 5321 4.1.1.2) with SIZE (RFC 1870), BODY (RFC 6152), RET and ENVID (RFC
 * 3461). */
#include "base/clock.h"
#include "base/file.h"
#include "smtp_wire/capability.h"
#include "smtpd/smtpd.h"

/* Longer than RFC 3461 4.4 allows: Postfix takes what fits its line. */
#define PARAMETER_MAX 1000

/* Also smtpd asks for half as much again as the largest message. */
#define SPACE_FACTOR_NUMERATOR   3
#define SPACE_FACTOR_DENOMINATOR 2
#define SPACE_VALID_MS           1000

/* As of this second: the write tells the rest. */
static int64_t space(void)
{
	int64_t now = clock_ms();
	if (now >= smtpd.space_until) {
		smtpd.space = file_system_free(".");
		smtpd.space_until = now + SPACE_VALID_MS;
	}
	return smtpd.space;
}

static bool has_space(int64_t announced)
{
	int64_t available = space();
	int64_t limit = service_common()->message_size_limit;
	if (available < 0)
		return true;
	if (available < limit / SPACE_FACTOR_DENOMINATOR * SPACE_FACTOR_NUMERATOR)
		return false;
	return available - announced >= smtpd.params.queue_minfree;
}

/* A refusal that is logged as those of restrictions are. */
static bool reject(struct session *s, int code, const char *status, const char *text)
{
	struct arena *arena = s->transaction->arena;
	session_log_action(s, "reject", "MAIL",
	    str_of(arena_printf(arena, "%d %s %s", code, status, text)), NULL);
	session_refuse(
	    s, code >= 500 ? NOTICE_POLICY : NOTICE_RESOURCE, code, status, "%s", text);
	return false;
}

/* A number too long for 64 bits is too large a message, not bad syntax. */
static bool parameter_size(struct session *s, struct transaction *t, struct str value)
{
	if (!str_is_digits(value))
		return command_refuse(s, 501, "5.5.4", "Bad message size syntax");
	if (!str_to_i64(value, &t->announced_size))
		return command_refuse(
		    s, 552, "5.3.4", "Message size exceeds file system imposed limit");
	int64_t limit = service_common()->message_size_limit;
	if (limit > 0 && t->announced_size > limit)
		return reject(s, 552, "5.3.4", "Message size exceeds fixed limit");
	return true;
}

static bool parameter_body(struct session *s, struct transaction *t, struct str value)
{
	t->body_8bit = str_is_nocase(value, "8BITMIME");
	return t->body_8bit || str_is_nocase(value, "7BIT")
	    ? true
	    : command_refuse_option(s, STR("BODY"), value);
}

static bool parameter_ret(struct session *s, struct transaction *t, struct str value)
{
	if (t->ret != DSN_RET_DEFAULT || !dsn_ret_parse(value, &t->ret))
		return command_refuse(s, 501, "5.5.4", "Bad RET parameter syntax");
	return true;
}

static bool parameter_envid(struct session *s, struct transaction *t, struct str value)
{
	CLEANUP(buf_free) struct buf decoded = BUF_INIT(PARAMETER_MAX);
	if (t->envelope_id.len > 0 || value.len == 0 || value.len > PARAMETER_MAX ||
	    !xtext_decode(&decoded, value) || str_has_control(buf_str(&decoded)))
		return command_refuse(s, 501, "5.5.4", "Bad ENVID parameter syntax");
	t->envelope_id = arena_str(t->arena, buf_str(&decoded));
	return true;
}

/* Who is authenticated upstream is not our business without AUTH (RFC 4954 5). */
static bool parameter_auth(
    UNUSED struct session *s, UNUSED struct transaction *t, UNUSED struct str value)
{
	return true;
}

/* RFC 6531 3.4: a word without a value, and only where it was offered. */
static bool parameter_smtputf8(struct transaction *t, struct str name, struct str value)
{
	if (value.p != NULL || !service_common()->smtputf8_enable ||
	    (smtpd.discard_keywords & CAPABILITY_SMTPUTF8) != 0 ||
	    !str_is_nocase(name, "SMTPUTF8"))
		return false;
	t->smtputf8 = true;
	return true;
}

/* XVERP or XVERP=+=: notices go to an address that names the recipient. */
static bool parameter_xverp(
    struct session *s, struct transaction *t, struct str name, struct str value)
{
	if (!s->verp_allowed)
		return command_refuse_option(s, name, value);
	if (t->sender.len == 0)
		return command_refuse(
		    s, 503, "5.5.4", "Error: XVERP requires non-null sender");
	if (value.p == NULL)
		value = str_of(smtpd.params.default_verp_delimiters);
	const char *filter = smtpd.params.verp_delimiter_filter;
	if (value.len == 2 && strchr(filter, value.p[0]) != NULL &&
	    strchr(filter, value.p[1]) != NULL) {
		t->verp = arena_str(t->arena, value);
		return true;
	}
	session_error(
	    s, 501, "5.5.4", "Error: XVERP needs two characters from %s", filter);
	return false;
}

static const struct {
	const char *name;
	bool (*handle)(struct session *s, struct transaction *t, struct str value);
} parameters[] = {
    {"SIZE", parameter_size},
    {"BODY", parameter_body},
    {"RET", parameter_ret},
    {"ENVID", parameter_envid},
    {"AUTH", parameter_auth},
};

static bool parse_parameter(
    struct session *s, struct transaction *t, struct str name, struct str value)
{
	if (str_is_nocase(name, "XVERP"))
		return parameter_xverp(s, t, name, value);
	for (size_t i = 0; value.p != NULL && i < ARRAY_SIZE(parameters); i++)
		if (str_is_nocase(name, parameters[i].name))
			return parameters[i].handle(s, t, value);
	return parameter_smtputf8(t, name, value) ||
	    command_refuse_option(s, name, value);
}

static bool parse(struct session *s, struct transaction *t, struct str arguments)
{
	if (!str_starts_nocase(arguments, STR("FROM:")) || arguments.len == 5)
		return command_refuse(s, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
	struct address_path_rules rules = {.strict = smtpd.params.strict_rfc821_envelopes,
	    .null_ok = true,
	    .utf8_ok = true,
	    .null_domain_ok = smtpd.params.resolve_null_domain,
	    .numeric_domain_ok = smtpd.params.resolve_numeric_domain};
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	struct str rest = STR_EMPTY, name, value;
	if (!address_path_parse(str_skip(arguments, 5), rules, &sender, &rest) ||
	    (!smtpd.params.allow_min_user && str_starts(buf_str(&sender), STR("-")))) {
		session_log_bad_address(s, "MAIL", str_skip(arguments, 5));
		return command_refuse(s, 501, "5.1.7", "Bad sender address syntax");
	}
	t->sender = arena_str(t->arena, buf_str(&sender));
	while (smtp_parameter_next(&rest, &name, &value))
		if (!parse_parameter(s, t, name, value))
			return false;
	if (!has_space(t->announced_size))
		return reject(s, 452, "4.3.1", "Insufficient system storage");
	return true;
}

void command_mail(struct session *s, struct str arguments)
{
	if (smtpd.params.smtpd_helo_required && s->helo.len == 0) {
		session_error(s, 503, "5.5.1", "Error: send HELO/EHLO first");
		return;
	}
	if (s->transaction != NULL) {
		session_error(s, 503, "5.5.1", "Error: nested MAIL command");
		return;
	}
	s->transaction = transaction_new();
	if (parse(s, s->transaction, arguments) &&
	    session_takes_address(
		s, s->transaction->sender, s->transaction->smtputf8, "sender") &&
	    !restriction_refuses_early(s, STAGE_SENDER))
		session_reply(s, 250, "2.1.0", STR("Ok"));
	else
		transaction_end(s);
}
