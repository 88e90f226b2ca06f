/*
 * Stacks for fibers: mapped with a guard page below, kept in a small pool. A stack that
 * comes back gives all but its first 8 KB back to the system if it was used deeper. For
 * fiber.c only.
 */
#ifndef RUN_STACK_H
#define RUN_STACK_H

#include "base/attributes.h"

size_t stack_size(void);

/* The lowest usable byte, or NULL when none can be had. */
void *stack_take(void);
void stack_give_back(void *stack);

/* Bytes of this stack that have ever been used since it was fresh. */
size_t stack_depth(const void *stack);
/* The deepest of all stacks that were given back so far. */
size_t stack_deepest(void);

#endif
