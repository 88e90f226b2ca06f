/* The rows of a master.cf as we deliver it, but those that listen on the network. */
#ifndef CONTROL_STOCK_ROWS_H
#define CONTROL_STOCK_ROWS_H

#include "base/buf.h"
#include "conf/master_cf.h"

/* Adds the rows whose program is in the directory `daemons` and whose service `present`
 * lacks (NULL: it has none), one a line. The number of rows. */
size_t stock_rows_add(
    struct buf *out, const char *daemons, const struct master_cf *present);

#endif
