/*
 * Every file and directory of an installation whose owner, group and mode matter, once:
 * for `postfix check`, `postfix set-permissions`, and the start, which makes what the
 * queue lacks.
 */
#ifndef CONTROL_PLACES_H
#define CONTROL_PLACES_H

#include <stdbool.h>
#include <sys/types.h>
#include "service/owner.h"

enum place_kind {
	PLACE_MADE,      /* a directory of the mail system's own: made when missing */
	PLACE_DIRECTORY, /* an installed one */
	PLACE_FILE,      /* may be missing */
	PLACE_COMMAND,   /* may be missing */
};

struct place {
	const char *path; /* absolute; valid during the call */
	enum place_kind kind;
	const char *user, *group; /* names for messages; group NULL: any will do */
	uid_t uid;
	gid_t gid; /* (gid_t)-1: any */
	mode_t mode;
	bool queue_files; /* a queue: what lies in it belongs to mail_owner too */
};

/* Calls for each place, directories before what lies in them. In a single-user instance
 * those of root are left out: there all is the owner's. */
void places_each(const struct owner *o,
    void (*call)(void *argument, const struct place *), void *argument);

#endif
