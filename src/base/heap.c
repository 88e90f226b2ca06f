#include "base/heap.h"

#include "base/memory.h"

static void put(struct heap *h, size_t index, struct heap_link *l)
{
	h->items[index] = l;
	l->position = index + 1;
}

static void sift_up(struct heap *h, size_t index, struct heap_link *l)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;
		if (h->items[parent]->key <= l->key)
			break;
		put(h, index, h->items[parent]);
		index = parent;
	}
	put(h, index, l);
}

static void sift_down(struct heap *h, size_t index, struct heap_link *l)
{
	for (;;) {
		size_t child = index * 2 + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count &&
		    h->items[child + 1]->key < h->items[child]->key)
			child++;
		if (l->key <= h->items[child]->key)
			break;
		put(h, index, h->items[child]);
		index = child;
	}
	put(h, index, l);
}

static void settle(struct heap *h, size_t index, struct heap_link *l)
{
	if (index > 0 && h->items[(index - 1) / 2]->key > l->key)
		sift_up(h, index, l);
	else
		sift_down(h, index, l);
}

void heap_free(struct heap *h)
{
	free(h->items);
	*h = (struct heap){0};
}

void heap_insert(struct heap *h, struct heap_link *l, int64_t key)
{
	if (h->count == h->size) {
		h->size = h->size == 0 ? 16 : h->size * 2;
		h->items = memory_resize(h->items, h->size * sizeof(struct heap_link *));
	}
	l->key = key;
	sift_up(h, h->count++, l);
}

void heap_remove(struct heap *h, struct heap_link *l)
{
	size_t index = l->position - 1;
	struct heap_link *last;

	if (l->position == 0)
		return;
	l->position = 0;
	last = h->items[--h->count];
	if (last != l)
		settle(h, index, last);
}

void heap_change(struct heap *h, struct heap_link *l, int64_t key)
{
	if (l->position == 0) {
		heap_insert(h, l, key);
		return;
	}
	l->key = key;
	settle(h, l->position - 1, l);
}

struct heap_link *heap_first(const struct heap *h)
{
	return h->count == 0 ? NULL : h->items[0];
}
