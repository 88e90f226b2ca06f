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
	unsigned lock_styles; /* mailbox_delivery_lock */
	bool propagate_alias; /* propagate_unmatched_extensions has "alias" */
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

/* Hands the message on to these as a new one; `text` says under which id. */
bool forward_message(const struct local_recipient *r, struct cleanup_recipient *list,
    size_t count, struct buf *text, struct why *why);

enum user_result {
	USER_NONE, /* nobody of this name */
	USER_DELIVERED,
	USER_FAILED, /* `why` */
};
/* Delivery to the user's mailbox or maildir. */
enum user_result user_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why);

/* luser_relay: mail for nobody goes to the address that it gives, if it is set. */
enum user_result luser_deliver(
    const struct local_recipient *r, struct buf *text, struct why *why);

#endif
