#include "run/switch.h"

#include <stdint.h>

void switch_prepare(
    struct switch_context *c, void *stack, size_t size, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
	uint64_t *frame = (uint64_t *)top;

	/* The ABI wants rsp + 8 divisible by 16 at a function's first instruction. */
	*--frame = 0; /* where entry would return to: the end of a backtrace */
	*--frame = (uint64_t)(uintptr_t)entry;
	for (int i = 0; i < 6; i++)
		*--frame = 0;
	c->saved = frame;
}
