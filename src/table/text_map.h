/*
 * A dictionary in memory, made from text: what texthash, inline, and an index file that
 * is missing or out of date have in common. It owns its keys and values. The first of two
 * equal keys counts.
 */
#ifndef TABLE_TEXT_MAP_H
#define TABLE_TEXT_MAP_H

#include "table/source.h"
#include "table/table.h"

struct text_map;

/* From a source file; NULL: unreadable (reason in `error`). */
struct text_map *text_map_read(const struct table_source *source, struct buf *error);
struct text_map *text_map_new(void);
void text_map_free(struct text_map *m); /* NULL is fine */
MUST_USE bool text_map_add(
    struct text_map *m, struct str key, struct str value); /* false: known */
size_t text_map_count(const struct text_map *m);

MUST_USE enum table_result text_map_lookup(
    const struct text_map *m, struct str key, struct buf *value);
/* In the order of the source. */
MUST_USE enum table_result text_map_next(
    struct text_map *m, bool first, struct buf *key, struct buf *value);

#endif
