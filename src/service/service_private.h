/* What the files of src/service share: the one state of the running daemon. */
#ifndef SERVICE_SERVICE_PRIVATE_H
#define SERVICE_SERVICE_PRIVATE_H

#include "service/master_status.h"
#include "service/owner.h"
#include "service/service.h"

#define SERVICE_OVERRIDES_MAX 200

struct service_options {
	const char *name; /* -n, or the program's name */
	const char *type; /* inet, unix, pass, unix-dgram */
	const char *overrides[SERVICE_OVERRIDES_MAX];
	size_t override_count;
	char *const *attributes;   /* what follows the options */
	int64_t max_use, max_idle; /* -1: as configured */
	int64_t limit;             /* clients at once; 0: as configured */
	int64_t listeners;
	bool chroot, by_hand, stand_alone, log_to_stderr, drop;
};

struct service_state {
	const struct service *service;
	struct service_options options;
	struct conf *conf;
	struct common_params common;
	struct owner owner;
	uint32_t limit; /* clients at once */
	bool stress;
};

extern struct service_state service_state;

/* service.c: fills the program's parameters again, as ${stress?...} is in some. */
void service_set_stress(bool stress);

/* options.c. The first bad option in `error`: it is for the log, and where that is
 * depends on the others. */
void service_options_parse(const struct service *s, int argc, char **argv,
    struct service_options *o_r, struct buf *error);

/* jail.c: chroot, ids. Fatal on failure. */
void service_jail(const struct service_state *s);

/* lifetime.c: counts clients, decides when to retire, talks with master. */
struct lifetime_hooks {
	void (*retire)(void); /* take nothing new */
	void (*set_limit)(uint32_t limit);
	size_t (*open)(void); /* clients and connections that are left */
};
void lifetime_start(const struct lifetime_hooks *hooks);
/* A client is about to be taken; false: the process has retired instead. */
bool lifetime_may_take(void);
void lifetime_client_began(void);
void lifetime_client_ended(void);
void lifetime_full(bool full);
void lifetime_retire(const char *reason);
/* Called by the servers when something has ended after retirement. */
void lifetime_check_end(void);

/* orders.c: the next order of master; takes the log file that may come with it. */
enum order_result { ORDER_NONE, ORDER_TAKEN, ORDER_END };
MUST_USE enum order_result orders_receive(int fd, struct master_order *order_r);

/* stream_serving.c, inner_serving.c, datagram_serving.c: from `first` on `count`
 * listening descriptors. */
void stream_serving_start(int first, int count);
void inner_serving_start(int first, int count);
void datagram_serving_start(int first, int count);
/* One client on standard input and output. */
void stand_alone_start(void);

#endif
