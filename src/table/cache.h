/*
 * A cache that outlives its process: few writers, one file, changed in place. The file is
 * that of a table, so that postmap(1) shows it and a file made by Postfix can be taken
 * over: lmdb:NAME is NAME.lmdb, btree:NAME and hash:NAME are NAME.btree.lmdb and
 * NAME.hash.lmdb. internal:NAME lives in memory, where a new entry pushes out an old one
 * when there are CACHE_MEMORY_MAX.
 *
 * Every call holds the file's lock (flock) for its time, so that an old and a new process
 * may share it. A change is in the file at once, and on the disk when the system writes
 * it: after a power cut changes may be missing, or the file may be broken, which is found
 * out when it is opened; then it is renamed to NAME.broken and a new one begun. What is
 * lost is found out anew.
 *
 * Calls work on mapped memory and do not wait for the disk, but for a lock of
 * microseconds.
 */
#ifndef TABLE_CACHE_H
#define TABLE_CACHE_H

#include "table/table.h"

struct cache;

#define CACHE_MEMORY_MAX 50000
#define CACHE_KEY_MAX    510 /* bytes; of a file, one less than LMDB takes */

/* "type:name". With the rights of the process: the
 * file is made with mode 0600. NULL: the reason is in `error`. */
struct cache *cache_open(struct str type_and_name, struct buf *error);
void cache_close(struct cache *c);
const char *cache_name(const struct cache *c); /* "btree:/var/lib/x" */

/* `value` is cleared first. A key past CACHE_KEY_MAX is absent, and cannot be put. */
MUST_USE enum table_result cache_lookup(
    struct cache *c, struct str key, struct buf *value);
/* False: not changed, the reason is in cache_error. */
MUST_USE bool cache_put(struct cache *c, struct str key, struct str value);
MUST_USE bool cache_remove(struct cache *c, struct str key);
/* The first entry behind `key`, which becomes its key; an empty key gives the first of
 * all. In memory the order is none, and `at` counts (0 at the start of a walk). */
MUST_USE enum table_result cache_next(
    struct cache *c, size_t *at, struct buf *key, struct buf *value);
const char *cache_error(const struct cache *c);

#endif
