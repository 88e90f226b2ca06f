/*
 * A doubly linked list whose links lie in the members. The list owns nothing. A link
 * that is in no list points to itself, so list_remove may be called twice.
 *
 *	struct list_link queue = LIST_INIT(queue);
 *	list_append(&queue, &job->link);
 *	LIST_FOREACH(job, &queue, struct job, link) ...
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include "base/attributes.h"

struct list_link {
	struct list_link *next, *previous;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list_link *l)
{
	l->next = l->previous = l;
}

static inline bool list_empty(const struct list_link *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list_link *at, struct list_link *l)
{
	l->previous = at->previous;
	l->next = at;
	at->previous->next = l;
	at->previous = l;
}

static inline void list_append(struct list_link *head, struct list_link *l)
{
	list_insert_before(head, l);
}

static inline void list_prepend(struct list_link *head, struct list_link *l)
{
	list_insert_before(head->next, l);
}

static inline void list_remove(struct list_link *l)
{
	l->previous->next = l->next;
	l->next->previous = l->previous;
	list_init(l);
}

#define LIST_ENTRY(pointer, type, member) CONTAINER_OF(pointer, type, member)
#define LIST_FIRST(head, type, member) \
	(list_empty(head) ? NULL : LIST_ENTRY((head)->next, type, member))

/* The body must not remove `item`; the SAFE form allows that. */
#define LIST_FOREACH(item, head, type, member)                                           \
	for ((item) = LIST_ENTRY((head)->next, type, member); &(item)->member != (head); \
	     (item) = LIST_ENTRY((item)->member.next, type, member))
#define LIST_FOREACH_SAFE(item, after, head, type, member)           \
	for ((item) = LIST_ENTRY((head)->next, type, member),        \
	    (after) = LIST_ENTRY((item)->member.next, type, member); \
	     &(item)->member != (head);                              \
	     (item) = (after), (after) = LIST_ENTRY((after)->member.next, type, member))

#endif
