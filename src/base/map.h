/*
 * A hash map from bytes to a pointer. Keys are copied; values belong to the caller. The
 * hash is keyed with a random secret of the process (SipHash), so a stranger cannot
 * choose keys that collide. Iteration order is insertion order while nothing is removed.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include "base/str.h"

struct map;

struct map *map_new(void);
void map_free(struct map *m); /* values are not freed; NULL is fine */
size_t map_count(const struct map *m);

void *map_get(const struct map *m, struct str key); /* NULL when absent */
/* Sets or replaces; returns the old value or NULL. `value` must not be NULL. */
void *map_set(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* the value, or NULL */

/* Walks: size_t at = 0; while (map_next(m, &at, &key, &value)). No change meanwhile
 * but removal of the entry just given. */
bool map_next(const struct map *m, size_t *at, struct str *key_r, void **value_r);

DEFINE_CLEANUP(map_free, struct map *)

#endif
