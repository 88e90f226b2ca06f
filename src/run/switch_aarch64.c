#include "run/switch.h"

#include <stdint.h>

void switch_prepare(
    struct switch_context *c, void *stack, size_t size, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
	uint64_t *frame = (uint64_t *)(top - 160);

	memset(frame, 0, 160);
	frame[11] = (uint64_t)(uintptr_t)entry; /* x30, where `ret` goes */
	c->saved = frame;
}
