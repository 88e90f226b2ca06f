#include "run/annotate.h"

size_t annotate_stack_size(void)
{
	return 65536;
}

void annotate_begin(struct annotate_stack *s, const void *bottom, size_t size)
{
	s->bottom = bottom;
	s->size = size;
}

void annotate_end(UNUSED struct annotate_stack *s)
{
}

void annotate_leave(UNUSED struct annotate_stack *from,
    UNUSED const struct annotate_stack *to, UNUSED bool ends)
{
}

void annotate_arrive(UNUSED struct annotate_stack *at, UNUSED struct annotate_stack *from)
{
}
