/* The table types that are linked in. A new one: its file in drivers/, a line here, and
 * two in drivers.c. */
#ifndef TABLE_DRIVERS_H
#define TABLE_DRIVERS_H

#include "table/driver.h"

extern const struct table_driver table_driver_btree;
extern const struct table_driver table_driver_cdb;
extern const struct table_driver table_driver_cidr;
extern const struct table_driver table_driver_environ;
extern const struct table_driver table_driver_fail;
extern const struct table_driver table_driver_hash;
extern const struct table_driver table_driver_inline;
extern const struct table_driver table_driver_lmdb;
extern const struct table_driver table_driver_pcre;
extern const struct table_driver table_driver_pipemap;
extern const struct table_driver table_driver_proxy;
extern const struct table_driver table_driver_randmap;
extern const struct table_driver table_driver_regexp;
extern const struct table_driver table_driver_static;
extern const struct table_driver table_driver_texthash;
extern const struct table_driver table_driver_unionmap;
extern const struct table_driver table_driver_unix;

#endif
