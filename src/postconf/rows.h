/* master.cf as postconf -M, -F and -P show it. */
#ifndef POSTCONF_ROWS_H
#define POSTCONF_ROWS_H

#include <stdbool.h>
#include "base/buf.h"
#include "conf/conf.h"
#include "conf/master_cf.h"

struct row_format {
	bool fold;           /* -f */
	struct conf *expand; /* -x: values of -o; or NULL */
};

/* "smtp/inet/chroot": what a command line asks for; "*" stands for any, and so does a
 * part that is left out. */
struct row_request {
	struct str service, type, part;
	size_t parts; /* how many were given */
};
struct row_request row_request_parse(struct str text);
bool row_request_names(const struct row_request *r, struct str service, struct str type);

#define ROW_FIELD_COMMAND 7
/* Of "chroot": 0 (service) to ROW_FIELD_COMMAND; -1: no such field. */
int row_field_number(struct str name);
/* As -F shows it; the command with its arguments. */
void row_field_text(struct buf *out, const struct master_row *row, int field,
    const struct row_format *format);
/* The whole row, as -M shows it, without a final line end. */
void row_text(
    struct buf *out, const struct master_row *row, const struct row_format *format);

/* -F and -P. */
struct row_view {
	bool names, values; /* not -h, not -H */
	struct row_format format;
};
void rows_print_fields(const struct master_cf *rows, char **requests, size_t count,
    const struct row_view *view);
void rows_print_overrides(const struct master_cf *rows, char **requests, size_t count,
    const struct row_view *view);

/* Prints the rows that a request ("smtp", "smtp/inet", "*" stands for any) names, or all.
 */
void rows_print(const struct master_cf *rows, char **requests, size_t count,
    const struct row_format *format);

/* One call for each "-o name=value" at the beginning of a row's arguments. */
void rows_each_override(const struct master_cf *rows,
    void (*call)(void *context, struct str name, struct str value), void *context);

#endif
