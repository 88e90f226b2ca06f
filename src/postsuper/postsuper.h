/*
 * postsuper's parts. The working directory is the queue directory, and all files are
 * touched as mail_owner. Everything works beside a running mail system: a message moves
 * by one rename, and is found again when it moves under our hands.
 */
#ifndef POSTSUPER_POSTSUPER_H
#define POSTSUPER_POSTSUPER_H

#include <stdbool.h>
#include <sys/types.h>
#include "queue/queue_dir.h"

/* What is worked on: the queues that the command line names (all when it names none), and
 * whose files count. */
struct target {
	char **names;
	size_t count;
	uid_t owner;
};
bool target_has(const struct target *t, const char *queue);

struct action_kind {
	char letter;
	const char *done;          /* "placed on hold": said of each message */
	const char *summary;       /* "Placed on hold": said at the end */
	const char *const *queues; /* where messages are looked for; NULL-terminated */
	/* 0, -ENOENT: not there, -EALREADY: nothing to do, or another -errno. */
	int (*apply)(const struct target *t, const char *queue, struct str id);
};

/* For a message that is not ready (being written), or not mail_owner's, they do nothing.
 */
const struct action_kind *action_find(char letter); /* d e h H r; NULL: none */
/* Whether the message was found and changed; trouble is logged. */
bool action_one(const struct action_kind *kind, const struct target *t, struct str id);
size_t action_all(const struct action_kind *kind, const struct target *t);

struct structure_work {
	bool names;    /* -s: names, places, hash directories */
	bool strict;   /* -S: long names must fit the inode too */
	bool purge;    /* -p: what was left half-written for a day */
	bool long_ids; /* enable_long_queue_ids */
};
/* Files that got another name. */
size_t structure_check(const struct structure_work *work, const struct target *t);

#endif
