/* The tables that proxymap may serve: each "proxy:type:name" that stands anywhere in
 * proxy_read_maps (or proxy_write_maps), also inside unionmap:{...} and the like. */
#ifndef PROXYMAP_APPROVED_H
#define PROXYMAP_APPROVED_H

#include <stdbool.h>
#include "base/map.h"

/* Adds what `list` names. */
void approved_add(struct map *approved, struct str list);
/* `table`: without "proxy:". */
bool approved_has(const struct map *approved, struct str table);

#endif
