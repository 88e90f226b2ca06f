/*
 * The frame of every daemon: options from master, configuration, log, privileges, jail,
 * accept loop or exchange server, retirement, orderly end. A daemon's main is one call
 * with one struct literal (style.md).
 *
 * Order: parse options; load configuration (a fault is fatal); open the log; before_jail
 * (tables, files, c-ares: still with the rights to read them, no threads yet); chroot if
 * the row says so; drop to mail_owner unless .root; sandbox; started; then serve until
 * retired. Signals: TERM ends at once after flushing the log; HUP is master's business
 * (master starts a new generation and sends USR1 = retire to the old).
 *
 * A process retires after max_use times client_limit clients, after max_idle without any,
 * when `stale` says so, at USR1, and when master is gone: it takes nothing new, closes
 * its listeners, lets sessions and exchanges end, calls `finished` and ends. The watchdog
 * is the alarm signal: a loop that did not turn for daemon_timeout (or the program's own
 * parameter for that) dies of signal 14.
 *
 * Log: maillog_file when set (the daemon opens it before the jail and appends by itself;
 * after a rotation master hands it the new file), /dev/stdout included; else syslog with
 * syslog_facility. The tag is syslog_name and the program's name.
 *
 * Options, set by master or by hand: -n service name, -t type (inet unix pass
 * unix-dgram), -c (chroot), -u (drop privileges; done anyway unless .root), -d (not from
 * master: descriptor 0 is the listener), -S (serve one client on standard input and
 * output), -v, -V (log to standard error), -o name=value, -m max_use, -i max_idle, -s
 * count of listeners (descriptors 6...), -L clients this process carries, -z, -l and -D
 * (accepted).
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdbool.h>
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/address.h"
#include "net/stream.h"
#include "common_params.h"

enum sandbox { SANDBOX_NONE, SANDBOX_QUEUE, SANDBOX_NET, SANDBOX_TABLE, SANDBOX_ROOT };

/* One connected client of an inet (or unix stream) service. */
struct service_client {
	struct stream *stream;
	struct net_address peer, local;
};

/* One request of the inner protocol, in the hands of who serves it. */
struct service_call {
	struct ipc_exchange *exchange; /* for ipc_connection_state */
	struct str payload;            /* of the request */
	struct arena *arena; /* for its reader; payload and arena end with the call */
	struct buf *reply;   /* what the caller will read: at most WIRE_PAYLOAD_MAX */
};

/* A kind of request that is one message and has one answer. `serve` runs in a fiber;
 * false: the request is malformed, or too large. Then nothing is answered, which the
 * caller takes as trouble, and a warning is logged; so it is with a type that has no row.
 */
struct service_request {
	uint16_t type, reply_type;
	bool (*serve)(struct service_call *call);
};

struct service {
	const char *name;           /* program name: "smtpd" */
	const struct param *params; /* generated table, or NULL */
	void *values;               /* the generated struct */
	/* Of `values`, in seconds; NULL: the parameter that all have. */
	const int64_t *ipc_timeout;    /* service_common()->ipc_timeout has it then */
	const int64_t *daemon_timeout; /* of the watchdog alone */
	enum sandbox sandbox;
	bool root;       /* keeps root (local, virtual, pipe, spawn) */
	bool no_threads; /* run_inline_only */
	bool attributes; /* words may follow the options (pipe, spawn) */
	bool stays;      /* one long-lived process: no max_use, no max_idle (qmgr) */
	void (*before_jail)(void);
	void (*started)(void); /* may start fibers; loop not yet running */
	/* Exactly one of: */
	void (*serve)(struct service_client *client); /* stream clients, own fiber each */
	/* Inner protocol; the last row is empty. */
	const struct service_request *requests;
	/* Inner protocol, where an exchange is more than that. */
	void (*exchange)(struct ipc_exchange *x);
	/* A datagram of a unix-dgram row, on the main stack: must not wait. One that is
	 * longer than datagram_max arrives with datagram_max + 1 bytes. */
	void (*datagram)(struct str payload);
	size_t datagram_max;
	/* Master's wakeup timer of the row; in a fiber. May be NULL. */
	void (*wakeup)(void);
	/* Per-connection state of the inner protocol (ipc_connection_state); may be NULL.
	 */
	void (*connection_closed)(void *state);
	/* Asked before a client is taken and after one has gone, at most once a second:
	 * tables changed on disk? true = retire ("has changed -- restarting" is logged by
	 * the hook). May be called on the main stack: must not wait. */
	bool (*stale)(void);
	/* Asked when all else is over after retirement: work of its own is under way, do
	 * not end yet. May be NULL. */
	bool (*busy)(void);
	/* Last words before exit when retired (flush state), on the main stack: must not
	 * wait. May be NULL. */
	void (*finished)(void);
};

int service_main(const struct service *s, int argc, char **argv);

/* Known after service_main started. */
const struct common_params *service_common(void);
struct address_extension_rules service_extension_rules(void);
struct conf *service_conf(void);
/* The words behind the options, NULL at the end; fixed for the life of the process. */
char *const *service_attributes(void);
const char *service_name(void); /* row name: "relay" for smtp run as relay */
/* Master says when the clients of the service have reached maxproc, and for 1000 s after.
 * The program's parameters (not those common to all) are then filled again, so that a
 * session sees what ${stress?...} gives when it reads them. */
bool service_is_stress(void);
/* -S: the one client is who started the process, and has no more rights than that. */
bool service_stands_alone(void);
bool service_draining(void); /* retired: finish, take nothing new */

#endif
