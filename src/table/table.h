/*
 * Lookup tables as callers see them: "type:name" opened once, before the jail, looked up
 * often. Absence and trouble never share a value. A lookup may suspend the fiber (drivers
 * that block in a library use worker threads of the table's own).
 *
 * Keys: text of strangers, at most TABLE_KEY_MAX bytes, folded to lower case (ICU for
 * UTF-8, RFC 5890 aware as Postfix does) for tables that are not patterns. Results are
 * at most TABLE_VALUE_MAX bytes.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include <stdbool.h>
#include "base/buf.h"

struct table;

#define TABLE_KEY_MAX   8192
#define TABLE_VALUE_MAX 1048576

enum table_result {
	TABLE_FOUND,
	TABLE_ABSENT,
	TABLE_TRY_LATER, /* the table cannot answer now: callers defer, never let through
			  */
	TABLE_BROKEN, /* misconfigured: will not heal by waiting; callers answer 4xx too
		       */
};

enum table_flags {
	TABLE_FOLD = 1,    /* fold keys of fixed-string tables */
	TABLE_UPDATE = 2,  /* open for change */
	TABLE_TRUSTED = 4, /* security data: refuses tcp: and regexp $1 substitution */
	TABLE_NO_SUBSTITUTE = 8, /* regexp, pcre: no $1 in results */
	TABLE_KEY_IS_LINE = 16,  /* header and body checks: no folding, any bytes */
	TABLE_ALIASES = 32, /* source text read in place of an index is an alias file */
};

/* Never NULL: a table that cannot be opened is a surrogate that answers TABLE_BROKEN and
 * logs why, once, when it is first asked. */
struct table *table_open(struct str type_and_name, unsigned flags);
void table_close(struct table *t);             /* NULL is fine */
const char *table_name(const struct table *t); /* "hash:/etc/aliases" */
/* Patterns, cidr, tcp, socketmap: only whole keys are asked, no partial ones. */
bool table_is_fixed(const struct table *t);
/* What it says of a key never changes: who asks about few keys may ask once. */
bool table_is_constant(const struct table *t);
/* The source on disk is newer than what is open: the process should end when idle. */
bool table_changed(struct table *t);
/* Why the table is broken (open or last lookup), or NULL. Valid until the next call. */
const char *table_error(const struct table *t);

/* `value` is cleared first. An empty key, or one past TABLE_KEY_MAX, is absent. */
MUST_USE enum table_result table_lookup(
    struct table *t, struct str key, struct buf *value);
MUST_USE enum table_result table_update(
    struct table *t, struct str key, struct str value);
MUST_USE enum table_result table_remove(struct table *t, struct str key);
/* Makes all updates since the last commit durable and visible to others, at once. Without
 * it they are dropped at table_close. False: nothing was changed; see table_error. */
MUST_USE bool table_commit(struct table *t);
/* Walks all entries: `first` restarts. TABLE_ABSENT at the end; BROKEN: not possible. */
MUST_USE enum table_result table_next(
    struct table *t, bool first, struct buf *key, struct buf *value);

/* Types known here, sorted, for postconf -m; NULL-terminated. */
const char *const *table_types(void);

#endif
