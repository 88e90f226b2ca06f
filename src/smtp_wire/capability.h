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

/* A server's reply to EHLO. */
struct ehlo {
	struct str name; /* as it calls itself; in the reply's bytes */
	uint32_t capabilities;
	int64_t size_limit; /* RFC 1870: 0 when it names none */
};
/* `lines` as struct reply has them: "250-name text\n250-SIZE 1000\n250 DSN". */
void ehlo_read(struct str lines, struct ehlo *r);

#endif
