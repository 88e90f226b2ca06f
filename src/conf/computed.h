/*
 * Defaults that are found out instead of written down: myhostname and mydomain (from the
 * host's name and from each other), mynetworks (from mynetworks_style and the interface
 * list, which the caller passes in: the network is above this layer).
 */
#ifndef CONF_COMPUTED_H
#define CONF_COMPUTED_H

#include "conf/conf.h"

/*
 * Adds the default of `name` to `out`; false for names without a computed default. The
 * values set for the other names count: myhostname gets $mydomain behind a host name
 * without a dot, mydomain is myhostname without its first label; "localdomain" at last.
 */
MUST_USE bool computed_default(struct conf *c, struct str name, struct buf *out);

/*
 * The default of mynetworks for `style` (host, subnet, class) into `out`. `interfaces`:
 * "address/prefix length" words, those that inet_interfaces and inet_protocols leave,
 * IPv6 without brackets. Made known to the configuration by conf_computed(c,
 * "mynetworks", ...). Until then it is 127.0.0.0/8 [::1]/128: nobody but this machine.
 */
MUST_USE bool computed_mynetworks(
    const char *style, struct str interfaces, struct buf *out, struct buf *error);

#endif
