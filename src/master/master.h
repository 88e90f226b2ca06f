/*
 * master's objects: a row of master.cf that is served, and its processes.
 *
 *	master.c     main: options, locks, signals, reload, end
 *	row.c        rows of master.cf into services, and the difference at a reload
 *	recovery.c   the commit log, before the first daemon and after the last
 *	sockets.c    listening sockets of a row
 *	ports.c      names of ports
 *	child.c      processes: start, status, end, throttling, shares of the clients
 *	orphans.c    what process 1 of a container has to do
 *	rotation.c   orders to processes; the new log file after a rotation
 *
 * All runs on the main stack of one loop. Nothing here reads what a stranger sent.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/list.h"
#include "common_params.h"
#include "conf/master_cf.h"
#include "ipc/ipc.h"
#include "master_params.h"
#include "run/loop.h"
#include "run/wait.h"
#include "service/master_status.h"
#include "service/owner.h"

struct listener {
	int fd;
	struct run_watch *watch;
};

struct row {
	struct list_link link;
	char *key; /* what a service is known by: "unix/private/bounce", "inet/25" */
	char *name, *type; /* as in master.cf */
	char *program;     /* path */
	char *path;        /* of the socket, for unix rows: "public/cleanup" */
	char **arguments;
	enum master_type kind;
	bool unpriv, chroot, missing; /* missing: the program is not there */
	int64_t wakeup;               /* seconds, 0 = never */
	bool wakeup_if_used, used;
	uint32_t clients; /* maxproc: clients in total; 0 = no limit */
	uint32_t limit;   /* clients a process */
	struct listener listeners[MASTER_LISTENERS_MAX];
	size_t listener_count;
	bool shared;     /* another row listens at this port, maybe at another address */
	char *endpoints; /* what the listeners are bound to, as text, for comparison */
	struct list_link children;
	struct run_timer *wakeup_timer, *throttle_timer, *stress_timer;
	struct ipc_client *wakeup_client;
	bool throttled, watching;
	int64_t fork_failures; /* in a row */
	bool stress;           /* clients reached maxproc a short while ago */
	bool stale;            /* not in the new master.cf */
};

struct child {
	struct list_link link;
	struct row *row;
	pid_t pid;
	int status_fd;
	struct run_watch *watch;
	enum master_child_state state;
	bool started;     /* it has said something */
	uint32_t share;   /* clients it may carry */
	uint32_t clients; /* as it last said */
	uint64_t uses;
	bool told_to_end;
	unsigned log_version; /* of the log file that it has, see master_state */
};

struct master_state {
	struct common_params common;
	struct master_params params;
	struct owner owner;
	const char *directory; /* configuration */
	const char *daemons;
	struct list_link rows;
	int queue_lock; /* held against recovery from the start on; < 0: there is no log
			 */
	int life_fd;    /* end of the pipe that children read: given to each */
	bool keep_stdout, ending;
	bool starting;        /* trouble with a row ends us; later it is only said */
	unsigned log_version; /* grows when the log file was opened anew */
	char *missing;        /* programs reported as missing, not to say it again */
	size_t children;      /* alive */
	unsigned cores;
	int64_t descriptors; /* that a process may have open */
	char **environment;
	int verbose;
};
extern struct master_state master;

/* --- master.c --- */
/* A process has ended: perhaps it was the last we waited for. */
void master_child_gone(void);

/* --- row.c --- */
/* Reads master.cf and makes the rows so. False: nothing was changed, the reason is
 * logged. */
bool rows_load(void);
/* Frees a row that is in master.cf no more, once its last process has ended. */
void row_drop_if_gone(struct row *r);

/* --- recovery.c --- */
/* Run recover, before any daemon and after all, and wait for its end; in between the
 * queue is locked against it. False: it failed, and has said why. */
bool recovery_at_start(void);
bool recovery_after_stop(void);

/* --- sockets.c --- */
/* Binds what the row listens on. False: logged; the row stays without. */
bool sockets_open(struct row *r);
void sockets_close(struct row *r);
/* Rows that share a port may be opened after this one. */
void sockets_share(struct row *r);
/* "0.0.0.0:25 [::]:25" for comparison; fills addresses when not NULL. */
bool sockets_describe(const struct master_row *source, struct buf *out);
/* What the service is known by: "25" (smtp too), "[host]:25", "private/bounce". */
void sockets_name(const struct master_row *source, struct buf *out);

/* --- ports.c --- */
/* A number, a name of known_tcp_ports, or one that the system knows. */
MUST_USE bool ports_parse(struct str text, uint16_t *port_r);

/* --- orphans.c --- */
/* As process 1: takes note of the ends of others' children. */
void orphans_start(void);

/* --- rotation.c --- */
void rotation_start(void);
/* The log may have become another file: every process gets it. */
void rotation_announce(void);
/* Its share of the clients, stress, and the log file when it has another one. */
void child_send_order(struct child *c);

/* --- child.c --- */
/* Watches the listeners when every process is full, or there is none. */
void children_watch(struct row *r);
/* New generation: all processes of the row take nothing new. */
void children_retire(struct row *r);
void children_signal(struct row *r, int number);
void children_wakeup(struct row *r);

#endif
