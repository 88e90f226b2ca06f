/*
 * Index files of Postfix hold keys and values with a NUL behind them or without, by the
 * option that their maker was given. Both forms of a key are asked until an answer tells
 * which the file has; from then on only that. Inside src/table only.
 */
#ifndef TABLE_NUL_H
#define TABLE_NUL_H

#include "table/table.h"

struct nul_guess {
	bool not_with; /* the file surely has no NULs */
	bool not_without;
};

typedef enum table_result nul_ask(
    void *state, struct str key, struct buf *value, struct buf *error);

/* Asks with one form of the key, then the other. `value` may be NULL. */
MUST_USE enum table_result nul_lookup(struct nul_guess *guess, nul_ask *ask, void *state,
    struct str key, struct buf *value, struct buf *error);
/* Takes one NUL off the end. */
void nul_strip(struct buf *b);

#endif
