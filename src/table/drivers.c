#include "table/drivers.h"

#include "table/driver.h"

const struct table_driver *const table_drivers[] = {
    &table_driver_btree,
    &table_driver_cdb,
    &table_driver_cidr,
    &table_driver_environ,
    &table_driver_fail,
    &table_driver_hash,
    &table_driver_inline,
    &table_driver_lmdb,
    &table_driver_pcre,
    &table_driver_pipemap,
    &table_driver_proxy,
    &table_driver_randmap,
    &table_driver_regexp,
    &table_driver_static,
    &table_driver_texthash,
    &table_driver_unionmap,
    &table_driver_unix,
    NULL,
};

static const char *const types[] = {
    "btree",
    "cdb",
    "cidr",
    "environ",
    "fail",
    "hash",
    "inline",
    "lmdb",
    "pcre",
    "pipemap",
    "proxy",
    "randmap",
    "regexp",
    "static",
    "texthash",
    "unionmap",
    "unix",
    NULL,
};

const char *const *table_types(void)
{
	return types;
}

const struct table_driver *table_driver_find(struct str type)
{
	for (const struct table_driver *const *d = table_drivers; *d != NULL; d++)
		if (str_is(type, (*d)->type))
			return *d;
	return NULL;
}
