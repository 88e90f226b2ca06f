/*
 * What flush understands (public/flush): which deferred messages wait for a site, and
 * "deliver these now". A site is a domain of fast_flush_domains; its log is a file of
 * queue ids in the queue directory flush. Requests about a site are safe to repeat: the
 * log is a set, and a message that is not deferred any more is passed by.
 */
#ifndef MESSAGE_FLUSH_H
#define MESSAGE_FLUSH_H

#include "ipc/message.h"

#define FLUSH_SITE_MAX 255 /* bytes, RFC 5321 4.5.3.1.2 */

/* A message was deferred whose next hop is this site. */
#define FLUSH_ADD_FIELDS(F)          \
	F(STR, site, FLUSH_SITE_MAX) \
	F(STR, id, 64)
IPC_RECORD(flush_add_entry, FLUSH_ADD_FIELDS)
#define FLUSH_APPEND_FIELDS(F) F(LIST, entries, flush_add_entry)
IPC_MESSAGE(flush_append, 1, SAFE, FLUSH_APPEND_FIELDS)

/* Everything that waits for a site (postqueue -s, ETRN). */
#define FLUSH_SITE_FIELDS(F) F(STR, site, FLUSH_SITE_MAX)
IPC_MESSAGE(flush_site, 2, SAFE, FLUSH_SITE_FIELDS)
/* One deferred message (postqueue -i). */
#define FLUSH_MESSAGE_FIELDS(F) F(STR, id, 64)
IPC_MESSAGE(flush_message, 3, SAFE, FLUSH_MESSAGE_FIELDS)

enum flush_status {
	FLUSH_OK,
	FLUSH_BAD,     /* no queue id, no domain name */
	FLUSH_FAIL,    /* disk or queue trouble: try again */
	FLUSH_UNKNOWN, /* no such message is deferred */
	FLUSH_DENIED,  /* the site is not among fast_flush_domains */
};
#define FLUSH_REPLY_FIELDS(F) F(U8, status, 0)
IPC_MESSAGE(flush_reply, 4, SAFE, FLUSH_REPLY_FIELDS)

#endif
