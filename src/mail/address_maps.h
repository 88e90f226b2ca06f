/*
 * Looks up an address in maps with Postfix's search order: user+ext@domain, user@domain,
 * then, when the domain is local (MAPS_LOCAL_FORMS and `is_local`), user+ext and user,
 * then @domain. Partial keys are asked in fixed-string tables only. The unmatched
 * extension is given back, for propagate_unmatched_extensions.
 */
#ifndef MAIL_ADDRESS_MAPS_H
#define MAIL_ADDRESS_MAPS_H

#include "mail/address.h"
#include "table/maps.h"

enum address_maps_flags {
	ADDRESS_MAPS_USER = 1, /* bare user forms for local domains */
	ADDRESS_MAPS_DOMAIN = 2,
	/* @domain */
};

struct address_maps_query {
	struct maps *maps;
	struct address_extension_rules rules;
	unsigned flags;
	bool (*is_local)(void *context, struct str domain); /* NULL: no bare-user forms */
	void *context;
};

/* `extension` (cleared) gets "+ext" when the match was without it. */
MUST_USE enum table_result address_maps_lookup(const struct address_maps_query *q,
    struct str internal, struct buf *value, struct buf *extension);

#endif
