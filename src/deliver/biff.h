/*
 * Tells comsat(8) that a user's mailbox file has got mail: one datagram for the service
 * biff/udp of this machine, "user@offset" and a NUL; the offset, in bytes, is where the
 * message begins. Nobody answers, and nobody need be there.
 */
#ifndef DELIVER_BIFF_H
#define DELIVER_BIFF_H

#include <sys/types.h>
#include "base/attributes.h"

/* A socket, or -1 with a warning: services(5) does not know biff/udp, or no socket. */
MUST_USE int biff_open(void);
void biff_tell(int socket, const char *user, off_t offset);

#endif
