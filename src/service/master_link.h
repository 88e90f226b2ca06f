/*
 * What master and a service process say to each other. Descriptors that a process starts
 * with: 0 to 2 /dev/null (or standard output of `start-fg`), 4 the end of a pipe whose other end master holds
 * (end of file: master is gone, retire), 5 where the process writes status frames, 6... listeners (-s count).
 * Environment: MAIL_CONFIG, and TZ and LANG as import_environment says.
 *
 * Options: -n service name (row), -t inet|unix|pass, -c (chroot to the queue directory), -u (drop privileges
 * to mail_owner), -s listeners, -L clients this process may carry, -m max_use, -i max_idle (from the
 * configuration unless given), -o name=value, -v, -D. Working directory: the queue directory.
 *
 * Signals to a process: USR1 = retire (finish what is open, take nothing new), TERM = end now.
 */
#ifndef SERVICE_MASTER_LINK_H
#define SERVICE_MASTER_LINK_H

#include <stdint.h>

#define MASTER_FD_ALIVE	  4
#define MASTER_FD_STATUS  5
#define MASTER_FD_LISTEN  6

/* One write of exactly this size, whenever `full` or `served` (first client) changes, and at retirement. */
struct master_status {
	uint32_t pid;
	uint8_t full;	  /* no room for another client: master watches the listener again */
	uint8_t served;	  /* some client was served: a crash from now on is no bad start */
	uint8_t retiring; /* takes no new clients any more */
	uint8_t reserved;
	uint32_t clients;
};

#endif
