/*
 * The index file of a hash:, btree: or lmdb: table: an LMDB environment without a lock
 * file, in one file beside the source text (x.hash.lmdb, x.btree.lmdb, x.lmdb; the last
 * is Postfix's own format and may come from its postmap). We never change one in place:
 * whoever changes it writes a new file, syncs it, and renames it over the old one. So a
 * reader needs no lock, and sees the old table or the new one, also after a crash.
 */
#ifndef TABLE_INDEX_H
#define TABLE_INDEX_H

#include "table/source.h"
#include "table/table.h"

#define INDEX_KEY_MAX 511 /* bytes; LMDB's limit */

struct index;

/* Opens for reading. NULL: reason in `error`. */
struct index *index_open(const char *path, struct buf *error);
/* Begins a new index that takes the place of `path` at index_commit; with `copy` it
 * begins with what is there (which must exist). `room`: bytes of text that will be added.
 * `mode` of the file. One that is not committed leaves no trace. */
struct index *index_begin(
    const char *path, bool copy, size_t room, unsigned mode, struct buf *error);
/* Syncs and renames. An index that was begun can be used no more but to close it. */
MUST_USE bool index_commit(struct index *x, struct buf *error);
void index_close(struct index *x); /* NULL is fine */

/* Makes the index of a source text (postmap): a new one, or more entries in the old one
 * when the source is incremental. `label` is its name in warnings about doubles. */
MUST_USE bool index_build(const char *path, const char *label,
    const struct table_source *source, struct buf *error);

/* The file that is open was replaced or removed. */
bool index_replaced(const struct index *x);

MUST_USE enum table_result index_lookup(
    struct index *x, struct str key, struct buf *value, struct buf *error);
MUST_USE enum table_result index_next(
    struct index *x, bool first, struct buf *key, struct buf *value, struct buf *error);
/* TABLE_ABSENT: the key was there and `replace` is false: nothing changed. */
MUST_USE enum table_result index_put(
    struct index *x, struct str key, struct str value, bool replace, struct buf *error);
MUST_USE enum table_result index_remove(
    struct index *x, struct str key, struct buf *error);

#endif
