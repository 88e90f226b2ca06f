/* SMTP extensions (EHLO keywords), one row each: the server announces, the client looks
 * for them. */
#ifndef SMTP_WIRE_CAPABILITY_H
#define SMTP_WIRE_CAPABILITY_H

#include <stdint.h>
#include <stdbool.h>
#include "base/str.h"

/* In the order in which the server announces them. */
#define CAPABILITIES(C)                               \
	C(PIPELINING, "PIPELINING")                   \
	C(SIZE, "SIZE")                               \
	C(VRFY, "VRFY")                               \
	C(ETRN, "ETRN")                               \
	C(STARTTLS, "STARTTLS")                       \
	C(AUTH, "AUTH")                               \
	C(XVERP, "XVERP")                             \
	C(XCLIENT, "XCLIENT")                         \
	C(XFORWARD, "XFORWARD")                       \
	C(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES") \
	C(8BITMIME, "8BITMIME")                       \
	C(DSN, "DSN")                                 \
	C(SMTPUTF8, "SMTPUTF8")                       \
	C(CHUNKING, "CHUNKING")                       \
	C(REQUIRETLS, "REQUIRETLS")

enum capability_index {
#define CAPABILITY_INDEX(name, keyword) CAPABILITY_INDEX_##name,
	CAPABILITIES(CAPABILITY_INDEX)
#undef CAPABILITY_INDEX
	    CAPABILITY_COUNT
};
enum capability {
#define CAPABILITY_BIT(name, keyword) CAPABILITY_##name = 1 << CAPABILITY_INDEX_##name,
	CAPABILITIES(CAPABILITY_BIT)
#undef CAPABILITY_BIT
};

const char *capability_keyword(enum capability_index i);
/* The bit of a keyword (case does not count), 0 when unknown. */
uint32_t capability_find(struct str keyword);
/* "dsn, silent-discard" (smtpd_discard_ehlo_keywords) to bits; unknown words are skipped.
 */
uint32_t capability_list(struct str list, bool *silent_r);

/* What a server takes with XFORWARD, in the order in which it is sent. */
#define XFORWARD_ATTRIBUTES(X)        \
	X(NAME, "log_client_name")    \
	X(ADDR, "log_client_address") \
	X(PORT, "log_client_port")    \
	X(PROTO, "log_protocol_name") \
	X(HELO, "log_helo_name")      \
	X(IDENT, "log_ident")         \
	X(SOURCE, "rewrite_context")

enum xforward_attribute {
#define XFORWARD_INDEX(name, attribute) XFORWARD_##name,
	XFORWARD_ATTRIBUTES(XFORWARD_INDEX)
#undef XFORWARD_INDEX
	    XFORWARD_COUNT
};
const char *xforward_name(enum xforward_attribute i);      /* "NAME" */
const char *xforward_attribute(enum xforward_attribute i); /* where a queue file has it */

/* A server's reply to EHLO. */
struct ehlo {
	struct str name; /* as it calls itself; in the reply's bytes */
	uint32_t capabilities;
	int64_t size_limit; /* RFC 1870: 0 when it names none */
	uint32_t xforward;  /* 1 << XFORWARD_NAME ... */
};
/* `lines` as struct reply has them: "250-name text\n250-SIZE 1000\n250 DSN". */
void ehlo_read(struct str lines, struct ehlo *r);

#endif
