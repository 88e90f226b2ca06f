/*
 * Mail addresses. Inside Posthouse an address is in internal form: local part without
 * quotes and escapes, '@', domain ("a b@example.com"). On the wire, in headers and in
 * logs it is in external form ("\"a b\"@example.com"). Functions say which.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include "base/buf.h"
#include "net/address.h"

#define ADDRESS_MAX 2048 /* bytes of one address, either form */

struct address_parts {
	struct str local, domain; /* domain.p NULL: there was no '@' */
};
/* At the last '@'. */
struct address_parts address_split(struct str internal);

/* external -> internal and back. Unquote accepts anything; it never grows. */
void address_unquote(struct buf *out, struct str external);
/* Quotes the local part when it is not a dot-atom (RFC 5321 4.1.2); 8-bit stays. */
void address_quote(struct buf *out, struct str internal);

/* A dot-atom, which needs no quotes. */
bool address_local_is_plain(struct str local);

/*
 * The path of MAIL FROM or RCPT TO (RFC 5321 4.1.2), as lenient as Postfix: angle
 * brackets optional unless `strict` (strict_rfc821_envelopes); a source route is
 * stripped; the empty path only where `null_ok`. `path` is what follows the colon up to
 * the first unquoted blank outside brackets; *rest_r gets the parameters behind it.
 * Result in internal form. False: syntax (501).
 */
struct address_path_rules {
	bool strict, null_ok, utf8_ok;
	bool null_domain_ok;    /* "user@" (resolve_null_domain) */
	bool numeric_domain_ok; /* "user@1.2.3.4" (resolve_numeric_domain) */
};
MUST_USE bool address_path_parse(struct str text, struct address_path_rules rules,
    struct buf *internal, struct str *rest_r);

/* How local parts are divided into a name and an extension. */
struct address_extension_rules {
	const char *delimiters;     /* any of these bytes; recipient_delimiter */
	const char *double_bounce;  /* never divided; double_bounce_sender, or NULL */
	bool owner_request_special; /* nor are owner-x and x-request */
};

/* user+ext -> user, ext; the first delimiter found splits; not at position 0; never for
 * postmaster, mailer-daemon and double-bounce. ext.p NULL: none. */
struct address_extension {
	struct str base, extension;
	char delimiter;
};
struct address_extension address_split_extension(
    struct str local, const struct address_extension_rules *rules);

/* Host names: labels of letters, digits, '-', '_' (8-bit when utf8), 1..63, total <= 255,
 * not numeric only; false says why in *reason_r when not NULL. */
MUST_USE bool address_domain_valid(struct str domain, bool utf8, const char **reason_r);
/* "[1.2.3.4]" "[IPv6:...]" (RFC 5321 4.1.3). */
MUST_USE bool address_literal_parse(struct str domain, struct net_address *r);
/* Domain, literal, or empty local part: good enough to accept in an envelope by these
 * rules. */
MUST_USE bool address_envelope_valid(
    struct str internal, struct address_path_rules rules);

/* For log lines and replies: "<" + quoted + ">" is up to the caller; this adds the form
 * that info_log_address_format asks for (external or internal). */
void address_add_log(struct buf *out, struct str internal);
void address_log_format(bool external);

#endif
