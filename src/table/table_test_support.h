/* What the tests of tables share. */
#ifndef TABLE_TABLE_TEST_SUPPORT_H
#define TABLE_TABLE_TEST_SUPPORT_H

#include "base/buf.h"
#include "table/table.h"

/* Writes `text` to NAME in `directory`; the path goes to `path` (cleared). */
void write_file(
    const char *directory, const char *name, const char *text, struct buf *path);
/* "type:path" of a new file with that text. */
struct table *open_file_table(const char *type, const char *text, unsigned flags);
/* NULL: TABLE_ABSENT expected. */
void check_lookup(struct table *t, const char *key, const char *expected);
/* All log lines from now on are kept: log_memory(). */
void keep_log(void);
void check_log(const char *line);

DEFINE_CLEANUP(table_close, struct table *)

#endif
