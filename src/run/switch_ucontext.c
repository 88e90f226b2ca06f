#include "run/switch.h"

#include <ucontext.h>

#include "base/memory.h"
#include "base/panic.h"

/* A fiber's ucontext_t lies on its stack; that of the main stack is made once and stays.
 */
void switch_prepare(
    struct switch_context *c, void *stack, size_t size, void (*entry)(void))
{
	size_t room = (sizeof(ucontext_t) + 63) & ~(size_t)63;
	ucontext_t *context = (void *)((char *)stack + size - room);

	ENSURE(getcontext(context) == 0);
	context->uc_stack.ss_sp = stack;
	context->uc_stack.ss_size = size - room;
	context->uc_link = NULL;
	makecontext(context, entry, 0);
	c->saved = context;
}

void switch_to(struct switch_context *from, const struct switch_context *to)
{
	if (from->saved == NULL)
		from->saved = memory_alloc(sizeof(ucontext_t));
	ENSURE(swapcontext(from->saved, to->saved) == 0);
}
