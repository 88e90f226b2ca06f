/* For tests and fakes: writes DNS answers, well-formed or not. */
#ifndef DNS_PACKET_H
#define DNS_PACKET_H

#include "base/buf.h"
#include "dns/message.h"

void packet_u16(struct buf *out, unsigned value);
void packet_name(struct buf *out, const char *name); /* "" is the root */
/* Header and one question, as a server would repeat it. */
void packet_head(struct buf *out, uint16_t id, unsigned flags, unsigned answers,
    const char *name, unsigned type);
/* A record of class IN; the owner is a name, or NULL for a pointer to the question. */
void packet_record(
    struct buf *out, const char *owner, unsigned type, uint32_t ttl, struct str data);
void packet_mx(struct buf *out, const char *owner, unsigned preference, const char *host);
void packet_opt(struct buf *out);

#endif
