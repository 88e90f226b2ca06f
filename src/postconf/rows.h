/* master.cf as postconf -M shows it. */
#ifndef POSTCONF_ROWS_H
#define POSTCONF_ROWS_H

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/master_cf.h"

struct row_format {
	bool fold;           /* -f */
	struct conf *expand; /* -x: values of -o; or NULL */
};

/* Prints the rows that a request ("smtp", "smtp/inet", "*" stands for any) names, or all.
 */
void rows_print(const struct master_cf *rows, char **requests, size_t count,
    const struct row_format *format);

/* One call for each "-o name=value" at the beginning of a row's arguments. */
void rows_each_override(const struct master_cf *rows,
    void (*call)(void *context, struct str name, struct str value), void *context);

#endif
