/* The chroot column of master.cf: "-" means y for a configuration that asks for the
 * defaults of old (compatibility_level below 1). */
#ifndef SERVICE_JAIL_DEFAULT_H
#define SERVICE_JAIL_DEFAULT_H

#include "conf/conf.h"
#include "conf/master_cf.h"

bool jail_default_applies(struct conf *c, const struct master_row *row);
/* The row's process is jailed: it says so, or the default does. */
bool jail_default_is_jailed(struct conf *c, const struct master_row *row);

#endif
