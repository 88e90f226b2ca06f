/*
 * A binary heap of members ordered by a 64-bit key (a time, mostly), smallest first.
 * Members carry a struct heap_link; the heap owns only its array. O(log n) insert, remove
 * and change of key.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"

struct heap_link {
	int64_t key;
	size_t position; /* 0 = in no heap; else index + 1 */
};

struct heap {
	struct heap_link **items;
	size_t count, size;
};

void heap_free(struct heap *h); /* the array; members are untouched */
void heap_insert(struct heap *h, struct heap_link *l, int64_t key);
void heap_remove(struct heap *h, struct heap_link *l); /* no-op when in no heap */
void heap_change(struct heap *h, struct heap_link *l, int64_t key);
struct heap_link *heap_first(const struct heap *h); /* NULL when empty */

#endif
