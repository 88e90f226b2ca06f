/*
 * DNS messages (RFC 1035, 2782, 3596, 6891, 7505): a writer for queries and a reader for
 * answers. The reader checks every length, follows compression pointers only backwards
 * and at most 64 of them, keeps at most 100 records, and takes only answer-section
 * records whose owner is the name asked for or a CNAME chain from it (at most 16 links).
 * Records whose data do not fit their type, or name a host that cannot exist, are left
 * out; an answer that has only such records is malformed. A full arena is `try later`.
 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "net/address.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33
};

#define DNS_RECORDS_MAX 100
#define DNS_NAME_MAX    255

struct dns_record {
	enum dns_type type;
	uint32_t ttl;
	uint16_t preference;   /* MX; SRV priority */
	uint16_t weight, port; /* SRV */
	struct str name;       /* owner, lower case, no final dot */
	struct str
	    target; /* an MX or SRV may be an IPv4 address; MX, PTR, NS, CNAME, SRV name
		       ("" is the root: null MX); TXT bytes */
	struct net_address address; /* A, AAAA; port 0 */
};

enum dns_status {
	DNS_FOUND,
	DNS_NO_DATA,
	DNS_NO_NAME,
	DNS_TRY_LATER,
	DNS_MALFORMED,
	DNS_BAD_NAME,
	/* Never by this layer; for callers that filter what was found. */
	DNS_FILTERED,
	DNS_FILTER_BROKEN
};

struct dns_answer {
	enum dns_status status;
	bool authentic; /* AD bit: worth as much as the way to the resolver */
	uint8_t rcode;
	size_t dropped; /* records of the type that were left out */
	size_t count;
	struct dns_record *records;
	struct str canonical; /* last name of the CNAME chain, when found */
};

/* A query with EDNS (1232 bytes), RD, AD. False: the name is not a valid host name. */
MUST_USE bool dns_query_write(
    struct buf *out, uint16_t id, struct str name, enum dns_type type);
/* Reads an answer to (id, name, type). Records live in the arena. */
struct dns_answer dns_answer_read(struct str packet, uint16_t id, struct str name,
    enum dns_type type, struct arena *arena);

/* "a.test. 60 IN MX 10 mx.a.test.", "a.test. 60 IN A 192.0.2.1": what tables that filter
 * answers are asked for. */
void dns_record_text(struct buf *out, const struct dns_record *r);

/* LDH plus underscore, no hyphen at the ends of a label, labels 1..63, 255 bytes on the
 * wire, optional final dot, not all numeric. */
bool dns_name_is_valid(struct str name);

#endif
