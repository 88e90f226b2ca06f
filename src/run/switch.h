/*
 * The context switch: saves the callee-saved registers on the stack that is left and
 * continues on another. One file per platform gives the bodies. For fiber.c only.
 */
#ifndef RUN_SWITCH_H
#define RUN_SWITCH_H

#include "base/attributes.h"

struct switch_context {
	void *saved; /* where the registers lie; the platform's business */
};

/* The first switch_to `c` calls entry on the stack that lies at `stack`. Entry never
 * returns. */
void switch_prepare(
    struct switch_context *c, void *stack, size_t size, void (*entry)(void));
/* Returns when another switch_to comes back to `from`. */
void switch_to(struct switch_context *from, const struct switch_context *to);

#endif
