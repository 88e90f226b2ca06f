/*
 * Logical lines of main.cf, master.cf and table sources: physical lines that begin with
 * white space continue the line before; empty and comment lines are skipped, also inside
 * a continued line. Line ends are LF; a final CR is kept.
 */
#ifndef CONF_CONFIG_LINE_H
#define CONF_CONFIG_LINE_H

#include <stdbool.h>
#include "base/buf.h"

struct config_lines {
	struct str rest;
	unsigned line; /* physical line of the next byte of `rest` */
};

void config_lines_init(struct config_lines *l, struct str text);
/* False at the end. `out` (cleared first) gets the joined line without the final LF;
 * *first_r its first physical line. Overflow of `out` is the caller's to check. */
MUST_USE bool config_lines_next(
    struct config_lines *l, struct buf *out, unsigned *first_r);

#endif
