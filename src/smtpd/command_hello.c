/* HELO and EHLO (RFC 5321 4.1.1.1): who the client says it is, and what we can do. */
#include "smtp_wire/capability.h"
#include "smtpd/smtpd.h"

#define HELO_MAX 512

/* A greeting that is refused (smtpd_delay_reject = no) was not given. */
static bool is_refused(struct session *s, struct str helo)
{
	struct str before = s->helo;
	s->helo = helo;
	if (!restriction_refuses_early(s, STAGE_HELO))
		return false;
	s->helo = before;
	return true;
}

static bool set_helo(struct session *s, struct str arguments, const char *verb)
{
	struct str name;
	if (!str_next(&arguments, " \t", &name)) {
		session_error(s, 501, "", "Syntax: %s hostname", verb);
		return false;
	}
	struct str kept = arena_str(s->arena, str_slice(name, 0, HELO_MAX));
	if (kept.p == NULL) { /* a client that greets thousands of times */
		session_error(s, 421, "4.7.0", "%s Error: too many greetings",
		    service_common()->myhostname);
		return false;
	}
	if (is_refused(s, kept))
		return false;
	transaction_end(s);
	return true;
}

void command_helo(struct session *s, struct str arguments)
{
	if (set_helo(s, arguments, "HELO"))
		session_reply(s, 250, "", str_of(service_common()->myhostname));
}

/* What is built and not switched off. */
static uint32_t announced(const struct session *s)
{
	uint32_t all = CAPABILITY_PIPELINING | CAPABILITY_SIZE | CAPABILITY_ETRN |
	    CAPABILITY_ENHANCEDSTATUSCODES | CAPABILITY_8BITMIME | CAPABILITY_DSN;
	if (service_common()->smtputf8_enable)
		all |= CAPABILITY_SMTPUTF8;
	if (!smtpd.params.disable_vrfy_command)
		all |= CAPABILITY_VRFY;
	if (s->verp_allowed)
		all |= CAPABILITY_XVERP;
	if (s->xclient_allowed)
		all |= CAPABILITY_XCLIENT;
	if (s->xforward_allowed)
		all |= CAPABILITY_XFORWARD;
	return all & ~smtpd.discard_keywords;
}

static void add_keyword(struct buf *out, enum capability_index i)
{
	buf_add_cstr(out, capability_keyword(i));
	if (i == CAPABILITY_INDEX_SIZE && service_common()->message_size_limit > 0)
		buf_printf(out, " %lld", (long long)service_common()->message_size_limit);
	if (i == CAPABILITY_INDEX_XCLIENT)
		client_attribute_names(&client_attribute_xclient, out);
	if (i == CAPABILITY_INDEX_XFORWARD)
		client_attribute_names(&client_attribute_xforward, out);
}

void command_ehlo(struct session *s, struct str arguments)
{
	if (!set_helo(s, arguments, "EHLO"))
		return;
	s->esmtp = true;
	CLEANUP(buf_free) struct buf line = BUF_INIT(1024);
	uint32_t left = announced(s);
	buf_printf(&line, left != 0 ? "250-%s" : "250 %s", service_common()->myhostname);
	for (unsigned i = 0; i < CAPABILITY_COUNT; i++) {
		if ((left & (1u << i)) == 0)
			continue;
		session_line(s, buf_str(&line));
		buf_clear(&line);
		left &= ~(1u << i);
		buf_add_cstr(&line, left != 0 ? "250-" : "250 ");
		add_keyword(&line, (enum capability_index)i);
	}
	session_line(s, buf_str(&line));
}
