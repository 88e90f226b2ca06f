/*
 * Most new mail is over within milliseconds: as long as that it stays where it is, in
 * incoming or without any name, and is moved to active only when it is still there after
 * a moment. Renames are the dearest calls on a message's way.
 */
#include "qmgr/qmgr.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/loop.h"

#define FRESH_MS 250

static struct {
	struct list_link messages; /* in order of activation */
	struct run_timer *timer;
} fresh;

void fresh_move(struct message *m)
{
	list_remove(&m->fresh);
	int error = queue_move(str_of(m->id), m->queue, QUEUE_ACTIVE);
	if (error == 0) {
		m->queue = QUEUE_ACTIVE;
		m->place = 0;
		message_close(m);
	} else if (error != -ENOENT) { /* postsuper may have taken it */
		log_warning("%s: move from %s to %s: %s", m->id, m->queue, QUEUE_ACTIVE,
		    strerror(-error));
	}
}

static void move_due(UNUSED void *argument)
{
	struct message *m;
	int64_t now = clock_ms();
	while ((m = LIST_FIRST(&fresh.messages, struct message, fresh)) != NULL &&
	    m->fresh_until <= now)
		fresh_move(m);
	if (m != NULL)
		run_timer_set(fresh.timer, m->fresh_until);
}

void fresh_prepare(void)
{
	list_init(&fresh.messages);
	fresh.timer = run_timer_new(move_due, NULL);
}

void fresh_add(struct message *m)
{
	bool first = list_empty(&fresh.messages);
	m->fresh_until = deadline_after_ms(FRESH_MS);
	list_append(&fresh.messages, &m->fresh);
	if (first)
		run_timer_set(fresh.timer, m->fresh_until);
}
