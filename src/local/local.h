/* What the files of local share. */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "client/cleanup_client.h"
#include "client/rewrite_client.h"
#include "deliver/delivery.h"
#include "local_params.h"
#include "service/owner.h"
#include "service/service.h"
#include "table/maps.h"

struct local_state {
	struct local_params params;
	struct owner owner;
	struct maps *aliases;
	struct cleanup_client *cleanup;
};
extern struct local_state local;

/* One recipient on its way: its local part folded to lower case, with and without
 * extension. */
struct local_recipient {
	struct delivery *delivery;
	size_t index;
	struct str address;   /* as in the queue file, internal form */
	struct str name;      /* folded local part */
	struct str base;      /* without extension */
	struct str extension; /* "" when none */
};

enum alias_result {
	ALIAS_NONE,      /* no such alias: deliver to the user */
	ALIAS_FORWARDED, /* the message was handed on to all members; `text` says how */
	ALIAS_SELF,   /* handed on to the others; the user of this name is a member too */
	ALIAS_FAILED, /* `why` */
};
/* Expands an alias into a new message to its members. */
enum alias_result alias_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why);

/* Delivery to the user's maildir. */
bool mailbox_deliver(const struct local_recipient *r, struct buf *text, struct why *why);

#endif
