/*
 * master.cf, read strictly: rows of service type private unpriv chroot wakeup maxproc
 * command arguments; comments, continuation by leading white space, {grouped arguments},
 * last row for (name, type, private) wins. Every error names file and line.
 */
#ifndef CONF_MASTER_CF_H
#define CONF_MASTER_CF_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"

enum master_type { MASTER_INET, MASTER_UNIX, MASTER_FIFO, MASTER_PASS, MASTER_DGRAM };
#define MASTER_DEFAULT (-1) /* "-" in the row */

struct master_row {
	const char *name; /* as written */
	enum master_type type;
	const char *type_name;
	int is_private, unpriv, chroot; /* 0, 1 or MASTER_DEFAULT */
	int64_t wakeup;                 /* seconds; MASTER_DEFAULT; 0 = never */
	bool wakeup_if_used;            /* "60?" */
	int64_t maxproc;                /* MASTER_DEFAULT; 0 = unlimited */
	const char *command;
	const char *const
	    *arguments; /* after the command, braces removed; NULL-terminated */
	size_t argument_count;
	unsigned line;     /* first line of the row */
	unsigned replaced; /* earlier rows of this service */
};

struct master_cf {
	struct master_row *rows;
	size_t count;
};

#define MASTER_ROWS_MAX 10000

/* Text of a whole file. `path` is for messages. Rows live in the arena. */
MUST_USE bool master_cf_parse(struct str text, const char *path, struct arena *arena,
    struct master_cf *cf_r, struct buf *error);
MUST_USE bool master_cf_read(
    const char *path, struct arena *arena, struct master_cf *cf_r, struct buf *error);
const struct master_row *master_cf_find(
    const struct master_cf *cf, struct str name, struct str type_name);

#endif
