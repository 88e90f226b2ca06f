#include "ipc/packet.h"

#include "base/memory.h"
#include "ipc/wire.h"

/* Sizes follow use: a status, a request, a chunk of a message, a small message, any. */
static const struct {
	size_t bytes;
	size_t keep;
} classes[] = {
    {448, 512},
    {4096, 64},
    {WIRE_CHUNK, 16},
    {WIRE_SMALL_MESSAGE + 1024, 8},
    {WIRE_PAYLOAD_MAX, 1},
};

static struct {
	struct packet *first;
	size_t count;
} pool[ARRAY_SIZE(classes)];

struct packet *packet_new(uint16_t type, struct str payload)
{
	uint8_t class = 0;
	while (classes[class].bytes < payload.len)
		class ++;
	struct packet *p = pool[class].first;
	if (p != NULL) {
		pool[class].first = p->next_free;
		pool[class].count--;
	} else {
		p = memory_alloc(sizeof(*p) + classes[class].bytes);
	}
	list_init(&p->link);
	p->type = type;
	p->size_class = class;
	p->len = (uint32_t)payload.len;
	if (payload.len > 0)
		memcpy(p->bytes, payload.p, payload.len);
	return p;
}

void packet_free(struct packet *p)
{
	if (p == NULL)
		return;
	list_remove(&p->link);
	if (pool[p->size_class].count == classes[p->size_class].keep) {
		free(p);
		return;
	}
	p->next_free = pool[p->size_class].first;
	pool[p->size_class].first = p;
	pool[p->size_class].count++;
}

void packet_pool_clear(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct packet *next;
		for (struct packet *p = pool[i].first; p != NULL; p = next) {
			next = p->next_free;
			free(p);
		}
		pool[i].first = NULL;
		pool[i].count = 0;
	}
}
