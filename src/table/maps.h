/* A list of tables asked in order: "hash:/etc/a, regexp:/etc/b inline:{x=y}". */
#ifndef TABLE_MAPS_H
#define TABLE_MAPS_H

#include "table/table.h"

struct maps;

/* `title` (a parameter name) is for log lines. An empty list is fine. Never NULL. */
struct maps *maps_open(const char *title, const char *list, unsigned flags);
void maps_close(struct maps *m);
bool maps_empty(const struct maps *m);
bool maps_changed(struct maps *m);
/* First answer wins; trouble in one table ends the search with trouble. Only tables with
 * fixed keys are asked when `partial`. */
MUST_USE enum table_result maps_lookup(
    struct maps *m, struct str key, bool partial, struct buf *value);
/* Which table gave the last answer or trouble (for warnings). */
const char *maps_last_name(const struct maps *m);

#endif
