/*
 * Who mail files belong to. Normally mail_owner and setgid_group by name. In an instance
 * made by `posthouse init` (posthouse_single_user = yes) the caller owns all: no ids are
 * changed, group checks are off, other users are unknown.
 */
#ifndef SERVICE_OWNER_H
#define SERVICE_OWNER_H

#include <stdbool.h>
#include <sys/types.h>
#include "common_params.h"

struct owner {
	bool single_user;
	const char *user;
	uid_t uid;
	gid_t gid;
	gid_t setgid_group;
};

/* Fatal when the account or group is missing or they share ids with root. */
struct owner owner_of(const struct common_params *common);
/* From now on owner_of gives this one, in a jail without accounts too (daemons, whose
 * configuration does not change). */
void owner_keep(const struct owner *o);
/* setgroups, setgid, setuid for good; fatal on failure; no-op in a single-user instance.
 */
void owner_become(const struct owner *o);

#endif
