/*
 * Queue files that are used again. To make and to remove an inode for each message costs
 * more than all the rest of its way over the disk: ext4 looks the longer for a free one
 * the more were freed in the last seconds. So qmgr leaves finished files here, and new
 * mail is written to them (doc/commit.md).
 *
 * What lies in the pool is no message; sixteen directories hold it, because a rename
 * costs by the names beside. A file that nobody holds a lock on is free; its bytes are
 * cut off here, after it lost its name in a queue and before it gets the next, so that
 * after a crash no message appears under another's id. Where the file system does not
 * keep the order of names and sizes nothing is used again. Recovery and a clean stop
 * empty the pool.
 *
 * All calls are short and do not wait. The working directory is queue_directory.
 */
#ifndef QUEUE_COMMIT_POOL_H
#define QUEUE_COMMIT_POOL_H

#include <sys/stat.h>
#include "base/str.h"

#define COMMIT_POOL      "commit/pool"
#define COMMIT_POOL_NAME 80 /* longest name of a file, with its NUL */

struct commit_pool;

/* Makes the directory when it is not there. 0 or -errno. */
MUST_USE int commit_pool_open(struct commit_pool **p_r);
void commit_pool_close(struct commit_pool *p); /* NULL is fine */

/* A free file, locked, of our own, empty, mode 0700. Descriptor; -ENOENT:
 * there is none now; other -errno. */
MUST_USE int commit_pool_take(
    struct commit_pool *p, char name_r[COMMIT_POOL_NAME], struct stat *status_r);
/* A new one, locked, empty. Descriptor or -errno. */
MUST_USE int commit_pool_make(
    struct commit_pool *p, char name_r[COMMIT_POOL_NAME], struct stat *status_r);

/* Removes the message from its queue, as queue_remove does, by leaving its file here when
 * there is room. 0 or -errno. */
MUST_USE int commit_pool_remove(struct commit_pool *p, const char *queue, struct str id);

/* While nobody uses it: deletes the files. 0 or -errno; no directory: 0. */
MUST_USE int commit_pool_empty(void);

#endif
