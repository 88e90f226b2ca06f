/* Addresses in commands that may not be taken as they stand. */
#include "base/log.h"
#include "smtpd/smtpd.h"

bool session_takes_address(
    struct session *s, struct str address, bool declared, const char *what)
{
	if (str_is_ascii(address) || declared)
		return true;
	const char *status = strcmp(what, "sender") == 0 ? "5.1.7" : "5.1.3";
	struct str domain = address_split(address).domain;
	if (domain.p != NULL && !str_is_ascii(domain))
		session_error(s, 501, status, "Bad %s address syntax", what);
	else if (smtpd.params.strict_smtputf8 && service_common()->smtputf8_enable)
		session_error(
		    s, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
	else
		return true;
	return false;
}

void session_log_bad_address(
    const struct session *s, const char *command, struct str path)
{
	path = str_trim(path);
	const char *end = path.len > 0 ? memchr(path.p, '>', path.len) : NULL;
	if (end == NULL || path.p[0] != '<')
		return;
	path.len = (size_t)(end + 1 - path.p);
	log_warning("Illegal address syntax from %.*s in %s command: %.*s",
	    STR_ARG(s->client_text), command, str_print_length(path), path.p);
}
