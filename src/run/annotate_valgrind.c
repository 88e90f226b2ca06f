#include "run/annotate.h"

#include <stdint.h>
#include <valgrind/memcheck.h>

size_t annotate_stack_size(void)
{
	return 65536;
}

void annotate_begin(struct annotate_stack *s, const void *bottom, size_t size)
{
	s->bottom = bottom;
	s->size = size;
	s->number = VALGRIND_STACK_REGISTER(bottom, (const char *)bottom + size);
}

void annotate_end(struct annotate_stack *s)
{
	VALGRIND_STACK_DEREGISTER(s->number);
	/* It is plain memory from now on; stack.c looks how deep it was used. */
	VALGRIND_MAKE_MEM_DEFINED(s->bottom, s->size);
}

void annotate_leave(UNUSED struct annotate_stack *from,
    UNUSED const struct annotate_stack *to, UNUSED bool ends)
{
}

void annotate_arrive(UNUSED struct annotate_stack *at, UNUSED struct annotate_stack *from)
{
}
