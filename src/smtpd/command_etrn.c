/* ETRN (RFC 1985): delivery of what waits for a domain, of those in fast_flush_domains.
 */
#include <errno.h>

#include "base/log.h"
#include "client/flush_client.h"
#include "client/service_client.h"
#include "smtpd/smtpd.h"

/* The one argument, without the mark for "and its subdomains" or "queue". */
static bool parse(struct session *s, struct str arguments, struct str *domain_r)
{
	struct str domain, more;
	struct net_address literal;
	if (!str_next(&arguments, " \t", &domain) || str_next(&arguments, " \t", &more)) {
		session_error(s, 500, "", "Syntax: ETRN domain");
		return false;
	}
	if (domain.p[0] == '@' || domain.p[0] == '#')
		domain = str_skip(domain, 1);
	if (!address_domain_valid(domain, true, NULL) &&
	    !address_literal_parse(domain, &literal)) {
		session_error(s, 501, "", "Error: invalid parameter syntax");
		return false;
	}
	*domain_r = domain;
	return true;
}

static void flush(struct session *s, struct str domain)
{
	enum flush_status status = FLUSH_BAD;
	int error = -EACCES;
	if (!service_stands_alone())
		error = flush_client_site(smtpd.flush, domain,
		    service_client_deadline(service_common()), &status);
	if (error != 0)
		log_warning("flush service: %s", strerror(-error));
	if (error == 0 && status == FLUSH_OK) {
		session_reply(s, 250, "", STR("Queuing started"));
	} else if (error == 0 && status == FLUSH_DENIED) {
		log_warning("reject: ETRN %.*s... from %.*s",
		    STR_ARG(str_slice(domain, 0, 100)), STR_ARG(s->client_text));
		session_error(s, 459, "", "<%.*s>: service unavailable", STR_ARG(domain));
	} else {
		session_error(s, 458, "", "Unable to queue messages");
	}
}

void command_etrn(struct session *s, struct str arguments)
{
	struct str domain;
	if (smtpd.params.smtpd_helo_required && s->helo.len == 0)
		session_error(s, 503, "5.5.1", "Error: send HELO/EHLO first");
	else if (s->transaction != NULL)
		session_error(s, 503, "", "Error: MAIL transaction in progress");
	else if (parse(s, arguments, &domain) && !restriction_refuses_etrn(s, domain))
		flush(s, domain);
}
