/*
 * What a table type implements: one file in drivers/, ending in
 * const struct table_driver table_driver_NAME = { ... }; listed in drivers.c.
 */
#ifndef TABLE_DRIVER_H
#define TABLE_DRIVER_H

#include "table/source.h"
#include "table/table.h"

struct table_driver {
	const char *type;
	bool fixed;    /* keys are fixed strings (folded, partial keys make sense) */
	bool constant; /* what it says of a key never changes while it is open */
	/* In place of `fixed` where the name decides; such keys are not folded here. */
	bool (*is_fixed)(const void *state);
	/* `name` is what follows "type:". NULL on failure with the reason in `error`. */
	void *(*open)(struct str name, unsigned flags, struct buf *error);
	void (*close)(void *state);
	enum table_result (*lookup)(
	    void *state, struct str key, struct buf *value, struct buf *error);
	enum table_result (*update)(void *state, struct str key, struct str value,
	    struct buf *error); /* NULL: read-only */
	enum table_result (*remove)(void *state, struct str key, struct buf *error);
	enum table_result (*next)(void *state, bool first, struct buf *key,
	    struct buf *value, struct buf *error);      /* NULL: not possible */
	bool (*commit)(void *state, struct buf *error); /* NULL: updates are at once */
	bool (*changed)(void *state);                   /* NULL: never */
	/* Builds the indexed file from text (postmap). NULL: not a type that is built. */
	bool (*build)(
	    struct str name, const struct table_source *source, struct buf *error);
};

/* All of them, sorted by type; NULL-terminated. */
extern const struct table_driver *const table_drivers[];
const struct table_driver *table_driver_find(struct str type); /* NULL: unknown */

#endif
