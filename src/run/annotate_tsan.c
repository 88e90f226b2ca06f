#include "run/annotate.h"

#include <sanitizer/tsan_interface.h>

size_t annotate_stack_size(void)
{
	return 262144;
}

void annotate_begin(struct annotate_stack *s, const void *bottom, size_t size)
{
	s->bottom = bottom;
	s->size = size;
	s->fake = __tsan_create_fiber(0);
}

void annotate_end(struct annotate_stack *s)
{
	__tsan_destroy_fiber(s->fake);
}

void annotate_leave(
    struct annotate_stack *from, const struct annotate_stack *to, UNUSED bool ends)
{
	if (from->fake == NULL) /* the main stack, for the first time */
		from->fake = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->fake, 0);
}

void annotate_arrive(UNUSED struct annotate_stack *at, UNUSED struct annotate_stack *from)
{
}
