/*
 * What checking tools must be told about stacks: AddressSanitizer and ThreadSanitizer
 * about every switch, valgrind about every stack. The build chooses one of annotate_*.c.
 * For fiber.c and stack.c only.
 */
#ifndef RUN_ANNOTATE_H
#define RUN_ANNOTATE_H

#include <stdbool.h>
#include "base/attributes.h"

struct annotate_stack {
	const void *bottom; /* lowest address; the main stack's once it was left */
	size_t size;
	void *fake;      /* the sanitizer's */
	unsigned number; /* valgrind's */
};

/* Bytes that a fiber's stack has under this tool. */
size_t annotate_stack_size(void);

/* A stack comes into use, fresh or again; and goes out of use. */
void annotate_begin(struct annotate_stack *s, const void *bottom, size_t size);
void annotate_end(struct annotate_stack *s);

/* Around each switch: `ends` when `from` will never run again. `from` in annotate_arrive
 * is the stack that was left. */
void annotate_leave(
    struct annotate_stack *from, const struct annotate_stack *to, bool ends);
void annotate_arrive(struct annotate_stack *at, struct annotate_stack *from);

#endif
