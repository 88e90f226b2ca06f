/* Which part of a stack the system holds memory for. One file per platform. */
#ifndef RUN_STACK_RESIDENT_H
#define RUN_STACK_RESIDENT_H

#include "base/attributes.h"

/* Offset of the lowest page that may hold anything but zeroes; at most size. */
size_t stack_resident_from(const void *stack, size_t size);

#endif
