/*
 * The default of mynetworks for this machine: which interfaces inet_interfaces and
 * inet_protocols leave, and what mynetworks_style makes of them. (Here because it needs
 * both the configuration and the network.)
 */
#ifndef TABLE_OWN_NETWORKS_H
#define TABLE_OWN_NETWORKS_H

#include "conf/conf.h"

/*
 * Makes the default known to the configuration, after its last override. May ask the
 * resolver for names in inet_interfaces: at start, not in a fiber. False: a bad
 * mynetworks_style or inet_protocols (reason in `error`).
 */
MUST_USE bool own_networks_compute(struct conf *c, struct buf *error);

#endif
