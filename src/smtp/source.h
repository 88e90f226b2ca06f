/*
 * The address that connections are made from: smtp_bind_address and smtp_bind_address6;
 * without these the only address of inet_interfaces, when it is one that other machines
 * can reach, so that a virtual host speaks from its own address.
 */
#ifndef SMTP_SOURCE_H
#define SMTP_SOURCE_H

#include "mail/why.h"
#include "net/address.h"

/* Ends the process when a parameter holds no address. */
void source_before_jail(void);
/* *source_r is NULL when the system is to choose. False (4.4.0): the address cannot be
 * used, and smtp_bind_address_enforce says that no other will do. */
MUST_USE bool source_choose(
    const struct net_address *to, const struct net_address **source_r, struct why *why);

#endif
