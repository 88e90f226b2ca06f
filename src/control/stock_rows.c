#include "control/stock_rows.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_ARENA (1u << 20)

static const char stock[] =
    "pickup    unix  n       -       n       60      1       pickup\n"
    "cleanup   unix  n       -       n       -       0       cleanup\n"
    "qmgr      unix  n       -       n       300     1       qmgr\n"
    "rewrite   unix  -       -       n       -       -       trivial-rewrite\n"
    "bounce    unix  -       -       n       -       0       bounce\n"
    "defer     unix  -       -       n       -       0       bounce\n"
    "trace     unix  -       -       n       -       0       bounce\n"
    "flush     unix  n       -       n       1000?   0       flush\n"
    "proxymap  unix  -       -       n       -       -       proxymap\n"
    "smtp      unix  -       -       n       -       -       smtp\n"
    "relay     unix  -       -       n       -       -       smtp\n"
    "lmtp      unix  -       -       n       -       -       lmtp\n"
    "showq     unix  n       -       n       -       -       showq\n"
    "error     unix  -       -       n       -       -       error\n"
    "retry     unix  -       -       n       -       -       error\n"
    "discard   unix  -       -       n       -       -       discard\n"
    "local     unix  -       n       n       -       -       local\n"
    "virtual   unix  -       n       n       -       -       virtual\n"
    "postlog   unix-dgram n  -       n       -       1       postlogd\n";

static bool has_program(const char *daemons, const char *name)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/%s", daemons, name);
	return access(path, X_OK) == 0;
}

static bool has_row(const struct master_cf *cf, const struct master_row *row)
{
	return cf != NULL &&
	    master_cf_find(cf, str_of(row->name), str_of(row->type_name)) != NULL;
}

size_t stock_rows_add(
    struct buf *out, const char *daemons, const struct master_cf *present)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(FILE_ARENA);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct str rest = str_of(stock), line;
	struct master_cf one;
	size_t count = 0;
	while (str_next(&rest, "\n", &line)) {
		if (!master_cf_parse(line, "stock rows", arena, &one, &error) ||
		    has_row(present, &one.rows[0]) ||
		    !has_program(daemons, one.rows[0].command))
			continue;
		buf_add_str(out, line);
		buf_add_char(out, '\n');
		count++;
	}
	return count;
}
