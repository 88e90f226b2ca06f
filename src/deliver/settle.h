/*
 * Making a new file and its name durable. The file systems that mail lies on (ext4, XFS)
 * have one journal and write it in order: when the bytes are on the disk before the file
 * gets its name, one sync of the file that was named last makes it, its name, and all
 * that was named before durable. Elsewhere each file and each directory is synced.
 *
 *	settle_begin(fd) for each file; settle_data(fd) for each; rename each;
 *	settle_name(fd, directory) for each, or, in order, for the last one only
 *
 * Blocking calls: for agents that carry one client, and their children. 0 or -errno.
 */
#ifndef DELIVER_SETTLE_H
#define DELIVER_SETTLE_H

#include <stdbool.h>
#include "base/attributes.h"

struct settle {
	bool in_order; /* its file system has one journal */
};

/* The bytes start on their way to the disk, where `more` files come before settle_data
 * waits for them. */
MUST_USE int settle_begin(struct settle *s, int fd, bool more);
/* They are there, though without a name only as durable as the next sync. */
MUST_USE int settle_data(const struct settle *s, int fd);
/* The file and the name that it got since are durable. */
MUST_USE int settle_name(const struct settle *s, int fd, const char *directory);

#endif
