#include "base/list.h"

#include "base/heap.h"
#include "unit.h"

struct item {
	int number;
	struct list_link link;
	struct heap_link order;
};

TEST(list_keeps_order_and_allows_double_removal)
{
	struct list_link head = LIST_INIT(head);
	struct item items[4], *item, *after;
	int expected[] = {3, 0, 1, 2}, at = 0;

	assert_null(LIST_FIRST(&head, struct item, link));
	for (int i = 0; i < 3; i++) {
		items[i].number = i;
		list_append(&head, &items[i].link);
	}
	items[3].number = 3;
	list_prepend(&head, &items[3].link);
	LIST_FOREACH (item, &head, struct item, link)
		assert_int_equal(item->number, expected[at++]);
	assert_int_equal(at, 4);
	assert_ptr_equal(LIST_FIRST(&head, struct item, link), &items[3]);
	LIST_FOREACH_SAFE (item, after, &head, struct item, link) {
		list_remove(&item->link);
		list_remove(&item->link);
	}
	assert_true(list_empty(&head));
}

static void check(const struct heap *h)
{
	for (size_t i = 0; i < h->count; i++) {
		assert_int_equal(h->items[i]->position, i + 1);
		assert_true(i == 0 || h->items[(i - 1) / 2]->key <= h->items[i]->key);
	}
}

TEST(heap_gives_the_smallest_key_first)
{
	struct heap h = {0};
	struct item items[200] = {0};
	uint32_t random = 12345;
	int64_t last = INT64_MIN;
	size_t left = 0;

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		random = random * 1103515245 + 12345;
		heap_insert(&h, &items[i].order, (int64_t)(random >> 16) - 30000);
		check(&h);
	}
	for (size_t i = 0; i < ARRAY_SIZE(items); i += 3) {
		random = random * 1103515245 + 12345;
		heap_change(&h, &items[i].order, (int64_t)(random >> 16) - 30000);
		check(&h);
	}
	for (size_t i = 1; i < ARRAY_SIZE(items); i += 3) {
		heap_remove(&h, &items[i].order);
		heap_remove(&h, &items[i].order);
		check(&h);
	}
	for (struct heap_link *l; (l = heap_first(&h)) != NULL; left++) {
		assert_true(l->key >= last);
		last = l->key;
		heap_remove(&h, l);
	}
	assert_int_equal(left, 200 - 67);
	heap_change(&h, &items[0].order, 5);
	assert_ptr_equal(heap_first(&h), &items[0].order);
	heap_free(&h);
	assert_null(heap_first(&h));
}
