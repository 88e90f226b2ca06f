/*
 * The arguments of XCLIENT and XFORWARD: who a client is, or whose mail it passes on, as
 * "NAME=value ...". A value is xtext (RFC 3461 4) of at most CLIENT_ATTRIBUTE_MAX bytes;
 * [UNAVAILABLE] says that it is not known, and [TEMPUNAVAIL], of a name, that it could
 * not be looked up. Pure functions; what they read came from a stranger, though from one
 * that the configuration names.
 */
#ifndef SMTP_WIRE_CLIENT_ATTRIBUTE_H
#define SMTP_WIRE_CLIENT_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define CLIENT_ATTRIBUTE_MAX 255

/* In the order in which EHLO announces them. */
enum xclient_attribute {
	XCLIENT_NAME,
	XCLIENT_ADDR,
	XCLIENT_PROTO,
	XCLIENT_HELO,
	XCLIENT_REVERSE_NAME,
	XCLIENT_PORT,
	XCLIENT_LOGIN,
	XCLIENT_DESTADDR,
	XCLIENT_DESTPORT,
	XCLIENT_COUNT
};
enum forwarded_attribute {
	FORWARDED_NAME,
	FORWARDED_ADDR,
	FORWARDED_PROTO,
	FORWARDED_HELO,
	FORWARDED_SOURCE, /* "local" or "remote" */
	FORWARDED_PORT,
	FORWARDED_IDENT,
	FORWARDED_COUNT
};
#define CLIENT_ATTRIBUTES 9

/* Valid, and free of control bytes: host names; addresses as net_address writes them;
 * ports of up to five digits. What is not known is "unknown" (names, addresses, ports,
 * XFORWARD's protocol), "local" (the source) or empty. */
struct client_attributes {
	uint32_t said; /* 1 << XCLIENT_NAME ... */
	char value[CLIENT_ATTRIBUTES][CLIENT_ATTRIBUTE_MAX + 1];
};

struct client_attribute_set;
extern const struct client_attribute_set client_attribute_xclient;
extern const struct client_attribute_set client_attribute_xforward;

/* " NAME ADDR ...": what EHLO says behind the keyword. */
void client_attribute_names(const struct client_attribute_set *set, struct buf *out);

/* Into what `values` holds already. False: some of them may have been taken, and `error`
 * has the text of a 501 5.5.4. `ipv6`: whether such addresses count as addresses (a
 * mapped IPv4 one does at any rate). */
MUST_USE bool client_attribute_read(const struct client_attribute_set *set, bool ipv6,
    struct str arguments, struct client_attributes *values, struct buf *error);

/* A value, empty when it was not said. Borrowed. */
struct str client_attribute_value(const struct client_attributes *values, unsigned which);

#endif
