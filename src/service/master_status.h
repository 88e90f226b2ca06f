/*
 * What a daemon and master tell each other on descriptor 5 (a SOCK_SEQPACKET pair, one
 * struct a packet, host byte order: both ends were built together), and the fixed
 * descriptors that a daemon inherits.
 */
#ifndef SERVICE_MASTER_STATUS_H
#define SERVICE_MASTER_STATUS_H

#include <stdint.h>
#include <sys/socket.h>

#define MASTER_LIFE_FD       4 /* a pipe; end of file: master is gone */
#define MASTER_STATUS_FD     5
#define MASTER_LISTEN_FD     6   /* the first listening socket */
#define MASTER_LISTENERS_MAX 100 /* of a row */

enum master_child_state {
	MASTER_CHILD_FREE = 1, /* takes clients */
	MASTER_CHILD_FULL,     /* takes none for the moment */
	MASTER_CHILD_LEAVING,  /* takes some more, but few: the next may be started */
	MASTER_CHILD_RETIRED,  /* takes no more, finishes what it has */
};

/* From the daemon: when it has started, at its first client, when full or free again (not
 * for moments of a few milliseconds), some time before it retires by max_use, and at each
 * client's end once retired. */
struct master_status {
	uint32_t state;
	uint32_t clients; /* now */
	uint64_t uses;    /* clients so far */
};

/*
 * From master: when the daemon's share of the clients changes, or stress, or the log file
 * was rotated. Then the new one comes as a descriptor with the packet (SCM_RIGHTS),
 * opened for appending by root: the daemon, which may be jailed and without rights, goes
 * on in it.
 */
struct master_order {
	uint32_t clients; /* most at once */
	uint32_t stress;  /* 0 or 1 */
	uint32_t log;     /* 1: with the new log file, 0: without */
};

/* What SCM_RIGHTS needs for one descriptor. */
union master_control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int))];
};

#endif
