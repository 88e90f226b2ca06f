/* RFC 3461 5.2.7.3: who wants to hear of success hears that his recipient was expanded,
 * and nothing of what that led to. It goes to the trace log just before the message is
 * safe; qmgr has the report sent. */
#include <errno.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "client/bounce_client.h"
#include "queue/queue_file.h"

struct expanded {
	struct expanded *next;
	struct bounce_add_entry entry;
};

void expanded_add(struct message *m, const struct cleanup_recipient *source,
    struct str address, struct str original, struct str dsn_orcpt, int64_t offset)
{
	struct expanded *e = arena_alloc(m->arena, sizeof(*e));
	bool fits = dsn_orcpt.len <= QUEUE_ORCPT_MAX;
	struct str recipient = arena_str(m->arena, address);
	struct str given = arena_str(m->arena, original);
	struct str orcpt = arena_str(m->arena, fits ? dsn_orcpt : STR_EMPTY);
	if (e == NULL || recipient.p == NULL || given.p == NULL || orcpt.p == NULL) {
		message_fail(m, CLEANUP_TABLE, "");
		return;
	}
	e->entry = (struct bounce_add_entry){
	    .id = str_of(m->id),
	    .offset = offset,
	    .recipient = recipient,
	    .original = given,
	    .dsn_orcpt = orcpt,
	    .notify = source->notify,
	    .status = STR("2.0.0"),
	    .action = STR("expanded"),
	    .reason = STR("alias expanded"),
	};
	e->next = m->expanded;
	m->expanded = e;
	m->expanded_count++;
	m->size.flags |= (int64_t)source->notify << 1; /* qmgr looks for a report */
}

/* What a message before had under this id, or this one when nothing came of it. */
void expanded_forget(const struct message *m)
{
	int error = m->expanded == NULL ? 0 : queue_remove(QUEUE_TRACE, str_of(m->id));
	if (error != 0 && error != -ENOENT)
		log_warning("remove %s/%s: %s", QUEUE_TRACE, m->id, strerror(-error));
}

static int append(struct message *m)
{
	struct bounce_append entries = {.entries_count = m->expanded_count};
	entries.entries =
	    arena_alloc_array(m->arena, m->expanded_count, sizeof(*entries.entries));
	if (entries.entries == NULL)
		return -ENOMEM;
	uint32_t left = m->expanded_count;
	for (const struct expanded *e = m->expanded; e != NULL; e = e->next)
		entries.entries[--left] = e->entry;
	return bounce_client_append(cleanup.trace, &entries);
}

void expanded_tell(struct message *m)
{
	if (m->expanded == NULL)
		return;
	expanded_forget(m);
	int error = append(m);
	if (error == 0)
		return;
	log_warning("%s: trace service: %s", m->id, strerror(-error));
	message_fail(m, CLEANUP_DEFER, "");
}
