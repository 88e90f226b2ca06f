/* How long a daemon lives, and what it tells master (descriptor 5). */
#include "service/service_private.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "run/loop.h"
#include "run/signals.h"
#include "run/wait.h"
#include "service/master_status.h"

#define FULL_AFTER_MS  5 /* full for a shorter time is not worth a message to master */
#define STALE_EVERY_MS 1000
#define BUSY_POLL_MS   100
#define LEAVING_PART   8 /* of all its uses are left when the next process is started */

static struct {
	struct lifetime_hooks hooks;
	size_t clients;
	uint64_t uses, max_uses; /* max_uses 0: without end */
	int64_t max_idle_ms, stale_checked;
	bool full, told_full, leaving, retired, ended;
	struct run_timer *idle, *full_timer, *watchdog, *busy;
	struct run_watch *life, *status;
} life;

bool service_draining(void)
{
	return life.retired;
}

/* --- master --- */

static void tell_master(enum master_child_state state)
{
	if (life.status == NULL)
		return;
	struct master_status message = {
	    .state = (uint32_t)state,
	    .clients = (uint32_t)life.clients,
	    .uses = life.uses,
	};
	/* Master reads whatever comes; if it is gone, descriptor 4 tells. */
	if (send(MASTER_STATUS_FD, &message, sizeof(message),
		MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("status for master: %s", strerror(errno));
}

static void told_by_master(UNUSED void *argument)
{
	struct master_order order;
	enum order_result result = orders_receive(MASTER_STATUS_FD, &order);
	if (result == ORDER_NONE)
		return;
	if (result == ORDER_END) {
		run_watch_on_readable(life.status, NULL, NULL);
		lifetime_retire("master is gone");
		return;
	}
	if (service_state.stress != (order.stress != 0))
		service_set_stress(order.stress != 0);
	if (order.clients > 0) {
		service_state.limit = order.clients;
		life.hooks.set_limit(order.clients);
	}
}

static void master_is_gone(UNUSED void *argument)
{
	run_watch_on_readable(life.life, NULL, NULL);
	lifetime_retire("master is gone");
}

static void watch_master(void)
{
	life.life = run_watch_new(MASTER_LIFE_FD);
	run_watch_on_readable(life.life, master_is_gone, NULL);
	life.status = run_watch_new(MASTER_STATUS_FD);
	run_watch_on_readable(life.status, told_by_master, NULL);
	tell_master(MASTER_CHILD_FREE);
}

/* --- full or free --- */

static void still_full(UNUSED void *argument)
{
	if (!life.full || life.told_full || life.leaving || life.retired)
		return;
	life.told_full = true;
	tell_master(MASTER_CHILD_FULL);
}

void lifetime_full(bool full)
{
	life.full = full;
	if (life.leaving || life.retired)
		return;
	if (full)
		run_timer_set(life.full_timer, deadline_after_ms(FULL_AFTER_MS));
	else if (life.told_full) {
		life.told_full = false;
		tell_master(MASTER_CHILD_FREE);
	}
}

/* --- retirement --- */

static void end(void)
{
	life.ended = true;
	if (service_state.service->finished != NULL)
		service_state.service->finished();
	run_stop();
}

void lifetime_check_end(void)
{
	if (!life.retired || life.ended || life.hooks.open() > 0)
		return;
	if (service_state.service->busy != NULL && service_state.service->busy())
		run_timer_set(life.busy, deadline_after_ms(BUSY_POLL_MS));
	else
		end();
}

static void check_end(UNUSED void *argument)
{
	lifetime_check_end();
}

void lifetime_retire(const char *reason)
{
	if (life.retired)
		return;
	log_debug("retires: %s", reason);
	life.retired = true;
	run_timer_set(life.idle, CLOCK_NEVER);
	life.hooks.retire();
	tell_master(MASTER_CHILD_RETIRED);
	run_soon(check_end, NULL);
}

static void on_retire(UNUSED int number)
{
	lifetime_retire("told so");
}

static void on_terminate(UNUSED int number)
{
	ipc_flush();
	log_flush();
	_exit(0);
}

static void idle_for_long(UNUSED void *argument)
{
	lifetime_retire("idle");
}

static bool is_stale(void)
{
	if (service_state.service->stale == NULL ||
	    clock_ms() - life.stale_checked < STALE_EVERY_MS)
		return false;
	life.stale_checked = clock_ms();
	return service_state.service->stale();
}

bool lifetime_may_take(void)
{
	if (!life.retired && is_stale())
		lifetime_retire("stale");
	return !life.retired;
}

/* --- clients --- */

static void watch_idleness(void)
{
	bool idle = life.clients == 0 && life.max_idle_ms > 0 && !life.retired;
	run_timer_set(
	    life.idle, idle ? deadline_after_ms(life.max_idle_ms) : CLOCK_NEVER);
}

/* Under load nobody shall wait for the start of the next process. */
static void count_use(void)
{
	life.uses++;
	if (life.max_uses == 0 || life.retired)
		return;
	uint64_t left = life.uses < life.max_uses ? life.max_uses - life.uses : 0;
	if (left == 0)
		lifetime_retire("used often");
	else if (!life.leaving && left <= life.max_uses / LEAVING_PART) {
		life.leaving = true;
		tell_master(MASTER_CHILD_LEAVING);
	}
}

void lifetime_client_began(void)
{
	if (life.clients++ == 0)
		run_timer_set(life.idle, CLOCK_NEVER);
	count_use();
	if (life.uses != 1 || life.retired)
		return;
	/* It works: master need not throttle it, and if it is full, may start the next at
	 * once. */
	life.told_full = life.full;
	tell_master(life.full ? MASTER_CHILD_FULL : MASTER_CHILD_FREE);
}

void lifetime_client_ended(void)
{
	life.clients--;
	if (life.retired)
		tell_master(MASTER_CHILD_RETIRED);
	else
		(void)lifetime_may_take();
	if (life.clients == 0)
		watch_idleness();
	lifetime_check_end();
}

/* --- start --- */

/* The alarm kills a process whose loop has stopped turning; nothing runs in the handler.
 */
static void turn_watchdog(UNUSED void *argument)
{
	const int64_t *own = service_state.service->daemon_timeout;
	int64_t seconds = own != NULL ? *own : service_state.common.daemon_timeout;
	if (seconds > INT32_MAX)
		seconds = INT32_MAX;
	(void)alarm((unsigned)seconds);
	run_timer_set(life.watchdog, deadline_after_ms(seconds * 1000 / 3));
}

static void set_bounds(void)
{
	const struct service_options *o = &service_state.options;
	int64_t max_use = o->max_use >= 0 ? o->max_use : service_state.common.max_use;
	int64_t max_idle = o->max_idle >= 0 ? o->max_idle : service_state.common.max_idle;
	if (service_state.service->stays || o->stand_alone)
		max_use = max_idle = 0;
	life.max_uses = (uint64_t)max_use * service_state.limit;
	life.max_idle_ms = max_idle * 1000;
}

void lifetime_start(const struct lifetime_hooks *hooks)
{
	life.hooks = *hooks;
	life.idle = run_timer_new(idle_for_long, NULL);
	life.full_timer = run_timer_new(still_full, NULL);
	life.watchdog = run_timer_new(turn_watchdog, NULL);
	life.busy = run_timer_new(check_end, NULL);
	life.stale_checked = clock_ms(); /* what was just opened is not stale */
	set_bounds();
	turn_watchdog(NULL);
	watch_idleness();
	run_on_signal(SIGTERM, on_terminate);
	run_on_signal(SIGUSR1, on_retire);
	if (!service_state.options.by_hand && !service_state.options.stand_alone)
		watch_master();
}
