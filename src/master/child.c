/*
 * Processes of a row. maxproc bounds the clients of the row in total; each process gets a
 * share of at most `limit`. A listener is watched only while no process has room, and
 * then another is started, if a share is left for it. A process that dies at its first
 * use throttles its row.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "master/master.h"
#include "net/listen.h"
#include "run/child.h"

#define ARGUMENTS_MAX 200
#define RESTART_MS    1000
#define STRESS_MS     1000000 /* as long as Postfix calls it stress */

_Static_assert(MASTER_LISTEN_FD + MASTER_LISTENERS_MAX <= CHILD_FDS_MAX,
    "a process gets all listeners of its row");

static bool is_live(const struct child *c)
{
	return c->state != MASTER_CHILD_RETIRED && !c->told_to_end;
}

/* Clients that nobody carries or may carry: draining ones count, draining processes do
 * not. */
static uint32_t clients_left(const struct row *r)
{
	const struct child *c;
	uint64_t taken = 0, staying = 0;
	LIST_FOREACH (c, &r->children, struct child, link) {
		taken += is_live(c) ? c->share : c->clients;
		staying += is_live(c) && c->state != MASTER_CHILD_LEAVING;
	}
	if (r->clients == 0) /* no limit: as many processes as cores keep busy */
		return staying < master.cores || r->limit == 1 ? r->limit : 0;
	return taken < r->clients ? (uint32_t)(r->clients - taken) : 0;
}

static uint32_t next_share(const struct row *r)
{
	uint32_t left = clients_left(r);
	return left < r->limit ? left : r->limit;
}

static bool has_room(const struct row *r)
{
	const struct child *c;
	LIST_FOREACH (c, &r->children, struct child, link)
		if (is_live(c) && c->state == MASTER_CHILD_FREE)
			return true;
	return false;
}

/* A process that began with less than its limit, because old ones were draining, gets
 * more. */
static void share_again(struct row *r)
{
	struct child *c;
	LIST_FOREACH (c, &r->children, struct child, link) {
		uint32_t left = clients_left(r);
		if (!is_live(c) || r->clients == 0 || c->share >= r->limit || left == 0)
			continue;
		uint32_t more = r->limit - c->share;
		c->share += more < left ? more : left;
		child_send_order(c);
	}
}

/* --- stress --- */

static void set_stress(struct row *r, bool stress)
{
	struct child *c;
	r->stress = stress;
	LIST_FOREACH (c, &r->children, struct child, link)
		if (is_live(c))
			child_send_order(c);
}

static void end_stress(void *argument)
{
	set_stress(argument, false);
}

/* All clients that a public service may have are there: it gets stress = yes. */
static void look_for_stress(struct row *r)
{
	if (r->kind != MASTER_INET || r->clients < 2 || has_room(r) ||
	    clients_left(r) > 0)
		return;
	if (r->stress_timer == NULL)
		r->stress_timer = run_timer_new(end_stress, r);
	run_timer_set(r->stress_timer, deadline_after_ms(STRESS_MS));
	if (!r->stress) {
		struct str port = str_trim(str_of(r->endpoints));
		port = str_skip(port, (size_t)(str_find_last(port, ':') + 1));
		log_warning("service \"%s\" (%.*s) has reached its process limit \"%u\": "
			    "new clients may experience noticeable delays",
		    r->name, STR_ARG(port), r->clients);
		set_stress(r, true);
	}
}

static void child_free(struct child *c)
{
	list_remove(&c->link);
	run_watch_free(c->watch);
	file_close(&c->status_fd);
	free(c);
}

/* --- the end of a process --- */

static void unthrottle(void *argument)
{
	struct row *r = argument;
	r->throttled = false;
	children_watch(r);
}

static void pause_row(struct row *r, int64_t seconds)
{
	r->throttled = true;
	if (r->throttle_timer == NULL)
		r->throttle_timer = run_timer_new(unthrottle, r);
	run_timer_set(r->throttle_timer, deadline_after_seconds(seconds));
}

static void throttle(struct row *r)
{
	log_warning("%s: bad command startup -- throttling", r->program);
	pause_row(r, master.params.service_throttle_time);
}

static void fork_failed(struct row *r, int error)
{
	log_warning("fork: %s", strerror(error));
	if (++r->fork_failures < master.params.fork_attempts) {
		pause_row(r, master.params.fork_delay);
	} else {
		r->fork_failures = 0;
		throttle(r);
	}
}

static void report_end(const struct child *c, int status)
{
	const char *program = c->row->program;
	if (WIFSIGNALED(status))
		log_warning("process %s pid %d killed by signal %d", program, (int)c->pid,
		    WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warning("process %s pid %d exit status %d", program, (int)c->pid,
		    WEXITSTATUS(status));
}

/* What a process was working on, or was about to tell another (cleanup to qmgr), must not
 * wait for the next timer. */
static void wake_all_soon(void)
{
	struct row *r;
	LIST_FOREACH (r, &master.rows, struct row, link)
		if (r->wakeup > 0 && !r->stale)
			run_timer_set(r->wakeup_timer, deadline_after_ms(RESTART_MS));
}

static void ended(void *argument, UNUSED pid_t pid, int status)
{
	struct child *c = argument;
	struct row *r = c->row;
	bool bad = status != 0 && !c->told_to_end;
	master.children--;
	if (bad && !master.ending) {
		report_end(c, status);
		if (c->uses == 0 && is_live(c))
			throttle(r);
		else
			wake_all_soon();
	}
	child_free(c);
	if (master.ending) {
		master_child_gone();
		return;
	}
	share_again(r);
	children_watch(r);
	row_drop_if_gone(r);
}

/* --- what a process says --- */

static void start(struct row *r, uint32_t share);

static bool may_start(const struct row *r)
{
	return !master.ending && !r->throttled && !r->stale && !has_room(r);
}

static void start_next(struct row *r)
{
	uint32_t share = may_start(r) ? next_share(r) : 0;
	if (share > 0)
		start(r, share);
}

static void heard(void *argument)
{
	struct child *c = argument;
	struct row *r = c->row;
	struct master_status status;
	ssize_t got = recv(c->status_fd, &status, sizeof(status), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got != (ssize_t)sizeof(status) || status.state < MASTER_CHILD_FREE ||
	    status.state > MASTER_CHILD_RETIRED) {
		/* Closed, at its end; or nonsense, which is not listened to any more. */
		if (got > 0)
			log_warning("process %s pid %d reports nonsense", r->program,
			    (int)c->pid);
		run_watch_on_readable(c->watch, NULL, NULL);
		return;
	}
	c->started = true;
	if (c->state != MASTER_CHILD_RETIRED)
		c->state = (enum master_child_state)status.state;
	c->clients = status.clients;
	c->uses = status.uses;
	r->used = r->used || status.uses > 0;
	if (!is_live(c))
		share_again(r);
	else if (c->state == MASTER_CHILD_FULL)
		look_for_stress(r);
	else if (c->state == MASTER_CHILD_LEAVING)
		start_next(r);
	children_watch(r);
}

/* --- the start of a process --- */

struct command_line {
	char *words[ARGUMENTS_MAX + 1];
	size_t count;
};

static void add_word(struct command_line *l, const char *word)
{
	if (l->count < ARGUMENTS_MAX)
		l->words[l->count++] = memory_copy_cstr(word);
}

static void add_number(struct command_line *l, const char *option, uint64_t value)
{
	char text[32];
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_word(l, option);
	add_word(l, text);
}

static void build_command(struct row *r, uint32_t share, struct command_line *l)
{
	const char *program = strrchr(r->program, '/') + 1;
	add_word(l, program);
	add_word(l, "-n");
	add_word(l, r->name);
	add_word(l, "-t");
	add_word(l, r->kind == MASTER_FIFO ? "unix" : r->type);
	add_number(l, "-s", r->listener_count);
	add_number(l, "-L", share);
	if (r->chroot)
		add_word(l, "-c");
	if (r->unpriv)
		add_word(l, "-u");
	if (r->clients == 0)
		add_word(l, "-z");
	if (r->kind == MASTER_INET && r->clients > 1) {
		add_word(l, "-o");
		add_word(l, r->stress ? "stress=yes" : "stress=");
	}
	for (int i = 0; i < master.verbose; i++)
		add_word(l, "-v");
	for (size_t i = 0; r->arguments[i] != NULL; i++)
		add_word(l, r->arguments[i]);
}

static pid_t spawn(struct row *r, uint32_t share, int status_fd)
{
	int fds[MASTER_LISTEN_FD + MASTER_LISTENERS_MAX] = {-1, -1, -1, -1};
	struct command_line line = {.count = 0};
	if (master.keep_stdout)
		fds[1] = STDOUT_FILENO, fds[2] = STDERR_FILENO;
	fds[MASTER_LIFE_FD] = master.life_fd;
	fds[MASTER_STATUS_FD] = status_fd;
	for (size_t i = 0; i < r->listener_count; i++)
		fds[MASTER_LISTEN_FD + i] = r->listeners[i].fd;
	build_command(r, share, &line);
	struct child_plan plan = {
	    .path = r->program,
	    .argv = line.words,
	    .environment = master.environment,
	    .fds = fds,
	    .fd_count = MASTER_LISTEN_FD + r->listener_count,
	    .new_group = true,
	};
	pid_t pid = child_start(&plan);
	for (size_t i = 0; i < line.count; i++)
		free(line.words[i]);
	return pid;
}

static void start(struct row *r, uint32_t share)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_warning("cannot start %s: %s", r->program, strerror(errno));
		throttle(r);
		return;
	}
	pid_t pid = spawn(r, share, pair[1]);
	file_close(&pair[1]);
	if (pid < 0) {
		file_close(&pair[0]);
		fork_failed(r, (int)-pid);
		return;
	}
	r->fork_failures = 0;
	struct child *c = memory_alloc(sizeof(*c));
	c->row = r;
	c->pid = pid;
	c->status_fd = pair[0];
	c->watch = run_watch_new(c->status_fd);
	c->state = MASTER_CHILD_FREE; /* until it says otherwise */
	c->share = share;
	c->log_version = master.log_version; /* it opens the file itself */
	list_append(&r->children, &c->link);
	master.children++;
	run_watch_on_readable(c->watch, heard, c);
	child_on_exit(pid, ended, c);
}

/* A row without program: its clients are told by a closed connection, datagrams go. */
static void refuse(struct row *r)
{
	struct net_address peer;
	char byte;
	for (size_t i = 0; i < r->listener_count; i++) {
		if (r->kind == MASTER_DGRAM) {
			(void)recv(r->listeners[i].fd, &byte, 1, MSG_DONTWAIT);
			continue;
		}
		int fd = net_accept(r->listeners[i].fd, &peer);
		file_close(&fd);
	}
}

/* Without a limit of clients, the processes that keep the cores busy take more. */
static void raise_shares(struct row *r)
{
	struct child *c;
	LIST_FOREACH (c, &r->children, struct child, link) {
		if (!is_live(c) || c->state == MASTER_CHILD_LEAVING ||
		    c->share > WIRE_EXCHANGES_MAX - r->limit)
			continue;
		c->share += r->limit;
		c->state = MASTER_CHILD_FREE; /* until it says otherwise */
		child_send_order(c);
	}
}

static void asked_for(void *argument)
{
	struct row *r = argument;
	if (r->missing) {
		refuse(r);
		return;
	}
	r->used = true;
	uint32_t share = next_share(r);
	if (share > 0)
		start(r, share);
	else
		raise_shares(r);
	children_watch(r);
}

void children_watch(struct row *r)
{
	bool watch = may_start(r) && r->listener_count > 0 &&
	    (r->missing || r->clients == 0 || next_share(r) > 0);
	if (watch == r->watching)
		return;
	r->watching = watch;
	for (size_t i = 0; i < r->listener_count; i++)
		run_watch_on_readable(r->listeners[i].watch, watch ? asked_for : NULL, r);
}

void children_retire(struct row *r)
{
	struct child *c;
	LIST_FOREACH (c, &r->children, struct child, link) {
		if (c->state == MASTER_CHILD_RETIRED)
			continue;
		c->state = MASTER_CHILD_RETIRED;
		c->clients = c->share;        /* at most; it will say */
		c->told_to_end = !c->started; /* the signal may come before its handler */
		(void)kill(c->pid, SIGUSR1);
	}
}

void children_signal(struct row *r, int number)
{
	struct child *c;
	LIST_FOREACH (c, &r->children, struct child, link) {
		c->told_to_end = true;
		(void)kill(c->pid, number);
	}
}

void children_wakeup(struct row *r)
{
	bool wanted = !r->wakeup_if_used || r->used;
	if (wanted && !r->throttled && !r->missing && r->wakeup_client != NULL)
		ipc_notify(r->wakeup_client, WIRE_TYPE_WAKEUP, STR_EMPTY);
}
