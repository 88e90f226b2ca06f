#include "run/annotate.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

size_t annotate_stack_size(void)
{
	return 262144; /* redzones make frames larger */
}

void annotate_begin(struct annotate_stack *s, const void *bottom, size_t size)
{
	s->bottom = bottom;
	s->size = size;
	s->fake = NULL;
	/* The fiber that had it last left redzones of frames that never returned. */
	__asan_unpoison_memory_region(bottom, size);
}

void annotate_end(UNUSED struct annotate_stack *s)
{
}

void annotate_leave(
    struct annotate_stack *from, const struct annotate_stack *to, bool ends)
{
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->bottom, to->size);
}

void annotate_arrive(struct annotate_stack *at, struct annotate_stack *from)
{
	__sanitizer_finish_switch_fiber(at->fake, &from->bottom, &from->size);
}
