#include "net/stream_private.h"

#include "base/memory.h"

#define KEPT_BUFFERS 64

static struct {
	struct chunk *free;
	size_t free_count, held;
} pool;

struct chunk *stream_chunk_take(void)
{
	struct chunk *c = pool.free;

	pool.held++;
	if (c == NULL)
		return memory_alloc(sizeof(*c));
	pool.free = c->next;
	pool.free_count--;
	c->at = c->end = 0;
	return c;
}

void stream_chunk_drop(struct chunk **place)
{
	struct chunk *c = *place;

	if (c == NULL)
		return;
	*place = NULL;
	pool.held--;
	if (pool.free_count == KEPT_BUFFERS) {
		free(c);
		return;
	}
	c->next = pool.free;
	pool.free = c;
	pool.free_count++;
}

size_t stream_chunk_held(const struct chunk *c)
{
	return c == NULL ? 0 : c->end - c->at;
}

size_t stream_buffers_held(void)
{
	return pool.held;
}
