/* Between the files of src/conf only. */
#ifndef CONF_CONF_PRIVATE_H
#define CONF_CONF_PRIVATE_H

#include "conf/conf.h"

/* A copy that lives as long as the configuration; NULL past its ceiling. */
const char *conf_keep(struct conf *c, struct str text);

#endif
